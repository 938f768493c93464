variable "name" {
  description = "The region's name."
  type        = string
}

variable "gateways" {
  description = "The region's gateways by name: the host that others reach it at, and whether it has a vote."
  type = map(object({
    host  = string
    voter = optional(bool, true)
  }))

  validation {
    condition     = length(var.gateways) > 0
    error_message = "gateways: a region needs one at least; write { NAME = { host = HOST } }."
  }
}

variable "services" {
  description = "What every gateway's file has under services; others can be set at run time with quorate_service."
  type        = any
}

variable "expect" {
  description = "The names of the fleet's first voters. Empty: the gateways join a group that is there."
  type        = list(string)
  default     = []
}

variable "join" {
  description = "HOST:PORT of the peer listeners of gateways of other regions."
  type        = list(string)
  default     = []
}

variable "ports" {
  description = "The ports of every gateway."
  type        = object({ listen = optional(number, 8080), admin = optional(number, 9090), peer = optional(number, 9100) })
  default     = {}
}

variable "config" {
  description = "More of the configuration file, such as { failover = { ... }, replication = { ... } }."
  type        = any
  default     = {}
}

variable "data_dir" {
  description = "Where gateways keep what outlives their process."
  type        = string
  default     = "/var/lib/quorate"
}

variable "config_dir" {
  description = "Where the configuration, the certificates (ca.crt, GATEWAY.crt, GATEWAY.key) and the token (admin.token) are. Terraform never sees their contents."
  type        = string
  default     = "/etc/quorate"
}

variable "binary" {
  description = "The quorate binary on the machines."
  type        = string
  default     = "/usr/local/bin/quorate"
}

variable "capacity" {
  description = "Requests of other regions in flight here at once. 0: what its pool is found to bear."
  type        = number
  default     = 0
}

variable "state" {
  description = "What is wanted of the region: on, draining or off."
  type        = string
  default     = "on"
}

variable "evacuation_time" {
  description = "Time over which traffic is shifted away when the region is drained, turned off or destroyed."
  type        = string
  default     = "30s"
}

variable "drain_timeout" {
  description = "How long to wait, after that time, until nothing is in flight there."
  type        = string
  default     = "10m"
}

variable "dns_zone" {
  description = "The zone of the address that agents know. Empty: no records."
  type        = string
  default     = ""
}
