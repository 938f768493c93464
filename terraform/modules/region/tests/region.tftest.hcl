mock_provider "quorate" {}

variables {
  name     = "eu-west"
  gateways = { gw-eu-1 = { host = "10.0.2.7" }, gw-eu-2 = { host = "10.0.2.8", voter = false } }
  join     = ["10.0.1.7:9100"]
  dns_zone = "mcp.example.com"
  services = [{ name = "tools", path = "/mcp", discover = [{ static = { nodes = [{ id = "a", url = "http://10.0.2.9:9001/mcp" }] } }] }]
}

run "renders" {
  assert {
    condition     = yamldecode(output.configs["gw-eu-1"]).peer.advertise == "10.0.2.7:9100"
    error_message = "a gateway advertises its own host"
  }
  assert {
    condition     = yamldecode(output.configs["gw-eu-2"]).control.role == "member" && contains(yamldecode(output.configs["gw-eu-2"]).control.join, "10.0.2.7:9100")
    error_message = "a gateway without a vote joins the others as a member"
  }
  assert {
    condition     = startswith(output.user_data["gw-eu-1"], "#cloud-config\n") && yamldecode(output.user_data["gw-eu-1"]).write_files[0].content == output.configs["gw-eu-1"]
    error_message = "user data holds the configuration"
  }
  assert {
    condition     = strcontains(output.systemd_unit, "serve --config /etc/quorate/quorate.yaml")
    error_message = "the unit serves the configuration"
  }
  assert {
    condition     = jsonencode(output.dns_records) == jsonencode([{ name = "eu-west.mcp.example.com", type = "A", ttl = 30, records = ["10.0.2.7", "10.0.2.8"] }])
    error_message = "one record set of both addresses"
  }
  assert {
    condition     = output.consul_services["gw-eu-1"].service.checks[0].http == "http://10.0.2.7:9090/readyz"
    error_message = "Consul checks /readyz"
  }
}

run "refuses_no_gateways" {
  command = plan
  variables { gateways = {} }
  expect_failures = [var.gateways]
}
