# A fourth region for a fleet that runs: see README.md.
terraform {
  required_providers {
    quorate = { source = "quorate/quorate" }
  }
}

provider "quorate" {} # QUORATE_ADMIN_URL, QUORATE_ADMIN_TOKEN

variable "fourth" {
  description = "HOST:PORT of the peer listener of the fourth region's gateway. Empty: there is none."
  type        = string
  default     = ""
}

variable "state" {
  description = "What is wanted of the fourth region: on, draining or off."
  type        = string
  default     = "on"
}

variable "evacuation_time" {
  description = "Time over which its traffic is shifted away."
  type        = string
  default     = "2s"
}

variable "voters" {
  description = "The region of each voter, to try a change before it is made. Null: as the fleet has them."
  type        = map(string)
  default     = null
}

data "quorate_cluster" "fleet" {}

locals {
  voters = var.voters != null ? var.voters : { for g in data.quorate_cluster.fleet.gateways : g.gateway => g.region if g.role != "member" }
  # A rule that two sides could both satisfy would fail here, before anything is changed.
  quorum = provider::quorate::quorum_check(data.quorate_cluster.fleet.rule.strategy, local.voters)
}

resource "quorate_region" "fourth" {
  count           = var.fourth == "" ? 0 : 1
  name            = "sa-east"
  gateways        = [var.fourth]
  state           = var.state
  evacuation_time = var.evacuation_time
  drain_timeout   = "2m"
}

# Charges never go twice, wherever they are served.
resource "quorate_route" "charges" {
  name        = "charges"
  match       = { tool = "charge_*" }
  retry_class = "once"
}

output "writes_need" {
  value = local.quorum.words
}

output "losses" {
  value = local.quorum.losses
}
