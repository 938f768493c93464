output "manifests" {
  description = "The manifests by what they are, as objects: for a kubernetes_manifest resource each."
  value       = local.manifests
}

output "yaml" {
  description = "The same as one YAML stream, for kubectl apply -f."
  value       = join("---\n", [for name in sort(keys(local.manifests)) : yamlencode(local.manifests[name])])
}

output "peers" {
  description = "HOST:PORT of each gateway's peer listener, for quorate_region and the join of other regions."
  value       = [for pod in local.pods : "${pod}.${local.domain}:${local.ports.peer}"]
}
