mock_provider "quorate" {
  mock_data "quorate_cluster" {
    defaults = { rule = { changing = false, strategy = "winner_takes_all", version = 1, words = "" } }
  }
}

variables {
  voters = { gw-1 = "us-east", gw-2 = "eu-west", gw-3 = "ap-south" }
}

run "three_regions" {
  assert {
    condition     = length(quorate_region.fourth) == 0 && output.writes_need == "2 of (gw-1, gw-2, gw-3)"
    error_message = "the fleet as it is"
  }
}

run "a_fourth" {
  variables { fourth = "127.0.0.1:9104" }
  assert {
    condition     = quorate_region.fourth[0].name == "sa-east" && quorate_region.fourth[0].state == "on"
    error_message = "a fourth region"
  }
}
