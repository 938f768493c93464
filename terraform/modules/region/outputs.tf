output "configs" {
  description = "The configuration file of each gateway."
  value       = local.configs
}

output "systemd_unit" {
  description = "The unit quorate.service."
  value       = local.unit
}

output "user_data" {
  description = "cloud-init user data of each gateway's machine. Certificates and the token come by another way: they are secrets."
  value       = local.user_data
}

output "consul_services" {
  description = "The service definition of each gateway for its Consul agent, where gateways do not register themselves (consul.register)."
  value = { for name, g in var.gateways : name => {
    service = {
      id      = name
      name    = "quorate"
      address = g.host
      port    = var.ports.peer
      meta    = { region = var.name, gateway = name }
      checks  = [{ name = "ready", http = "http://${g.host}:${var.ports.admin}/readyz", interval = "5s", timeout = "2s" }]
    }
  } }
}

output "dns_records" {
  description = "Records of the address that agents know: one name for the region, one entry for each gateway. TTLs are short, since a record is how a region leaves."
  value = var.dns_zone == "" ? [] : [
    for type, hosts in {
      A     = [for g in var.gateways : g.host if can(cidrhost("${g.host}/32", 0)) && !strcontains(g.host, ":")]
      AAAA  = [for g in var.gateways : g.host if strcontains(g.host, ":")]
      CNAME = [for g in var.gateways : g.host if !can(cidrhost("${g.host}/32", 0)) && !strcontains(g.host, ":")]
    } : { name = "${var.name}.${var.dns_zone}", type = type, ttl = 30, records = hosts } if length(hosts) > 0
  ]
}

output "peers" {
  description = "HOST:PORT of each gateway's peer listener."
  value       = local.peers
}

output "revision" {
  description = "The settings revision of the region's document."
  value       = quorate_region.this.revision
}
