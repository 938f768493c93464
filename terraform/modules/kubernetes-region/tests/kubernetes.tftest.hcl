mock_provider "quorate" {}

variables {
  name     = "us-east"
  image    = "quorate:test"
  replicas = 3
  services = [{ name = "tools", path = "/mcp", discover = [{ static = { nodes = [{ id = "a", url = "http://tools.default.svc:9001/mcp" }] } }] }]
}

run "renders" {
  assert {
    condition     = length(split("---\n", output.yaml)) == 6
    error_message = "six manifests"
  }
  assert {
    condition     = output.peers[2] == "quorate-us-east-2.quorate-us-east.quorate.svc.cluster.local:9100"
    error_message = "a gateway is reached through the headless service"
  }
  assert {
    condition     = output.manifests["statefulset"].spec.template.spec.containers[0].readinessProbe.httpGet.path == "/readyz"
    error_message = "traffic comes when a gateway is ready"
  }
  assert {
    condition     = output.manifests["statefulset"].spec.template.spec.enableServiceLinks == false
    error_message = "a pod that is told of Services takes them for settings, and does not start"
  }
  assert {
    condition     = yamldecode(output.manifests["configmap"].data["quorate.yaml"]).region == "us-east"
    error_message = "the file names the region"
  }
}
