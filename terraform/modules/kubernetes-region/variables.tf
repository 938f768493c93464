variable "name" {
  description = "The region's name."
  type        = string
}

variable "namespace" {
  description = "The namespace of everything."
  type        = string
  default     = "quorate"
}

variable "replicas" {
  description = "How many gateways the region has."
  type        = number
  default     = 2
}

variable "image" {
  description = "The image, by digest where it matters. Its entry point is the quorate binary."
  type        = string
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

variable "config" {
  description = "More of the configuration file."
  type        = any
  default     = {}
}

variable "identity_secret" {
  description = "The Secret with ca.crt, and POD.crt and POD.key of each gateway. Terraform never sees its contents."
  type        = string
  default     = "quorate-identity"
}

variable "admin_secret" {
  description = "The Secret with the admin listener's bearer token under the key token."
  type        = string
  default     = "quorate-admin"
}

variable "storage" {
  description = "The size of each gateway's volume."
  type        = string
  default     = "10Gi"
}

variable "storage_class" {
  description = "Its storage class. Empty: the cluster's default."
  type        = string
  default     = ""
}

variable "resources" {
  description = "Requests and limits of the container."
  type        = any
  default     = { requests = { cpu = "500m", memory = "512Mi" }, limits = { memory = "2Gi" } }
}

variable "peer_cidrs" {
  description = "Who may reach the peer listener from outside the region: the gateways of other regions."
  type        = list(string)
  default     = ["10.0.0.0/8"]
}

variable "operators_namespace" {
  description = "The namespace from which the admin listener may be reached, such as that of Prometheus."
  type        = string
  default     = "monitoring"
}
