terraform {
  required_version = ">= 1.8" # functions of providers

  required_providers {
    quorate = { source = "quorate/quorate" }
  }
}
