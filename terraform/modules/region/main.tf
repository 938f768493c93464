locals {
  peers = { for name, g in var.gateways : name => "${g.host}:${var.ports.peer}" }

  configs = { for name, g in var.gateways : name => provider::quorate::gateway_config(merge(
    {
      name     = name
      region   = var.name
      data_dir = var.data_dir
      listen   = { address = "0.0.0.0:${var.ports.listen}" }
      admin    = { address = "0.0.0.0:${var.ports.admin}", token_file = "${var.config_dir}/admin.token" }
      peer = {
        address   = "0.0.0.0:${var.ports.peer}"
        advertise = local.peers[name]
        ca_file   = "${var.config_dir}/ca.crt"
        cert_file = "${var.config_dir}/${name}.crt"
        key_file  = "${var.config_dir}/${name}.key"
      }
      control = {
        role   = g.voter ? "voter" : "member"
        expect = contains(var.expect, name) ? var.expect : null
        join   = concat(var.join, [for other, peer in local.peers : peer if other != name])
      }
      services = var.services
    },
    var.config,
  )) }

  unit = templatefile("${path.module}/quorate.service.tftpl", { binary = var.binary, config_dir = var.config_dir })

  user_data = { for name, g in var.gateways : name => "#cloud-config\n${yamlencode({
    users = ["default", { name = "quorate", system = true, shell = "/usr/sbin/nologin", no_create_home = true }]
    write_files = [
      { path = "${var.config_dir}/quorate.yaml", permissions = "0644", content = local.configs[name] },
      { path = "/etc/systemd/system/quorate.service", permissions = "0644", content = local.unit },
    ]
    runcmd = [["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", "quorate.service"]]
  })}" }
}

resource "quorate_region" "this" {
  name            = var.name
  gateways        = values(local.peers)
  capacity        = var.capacity
  state           = var.state
  evacuation_time = var.evacuation_time
  drain_timeout   = var.drain_timeout
}
