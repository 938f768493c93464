locals {
  app    = "quorate-${var.name}"
  labels = { "app.kubernetes.io/name" = "quorate", "app.kubernetes.io/instance" = local.app }
  meta   = { namespace = var.namespace, labels = local.labels }
  ports  = { listen = 8080, admin = 9090, peer = 9100 }
  domain = "${local.app}.${var.namespace}.svc.cluster.local"
  pods   = [for i in range(var.replicas) : "${local.app}-${i}"]
  # Names and addresses of one gateway come from its pod's environment, which beats the file.
  config = provider::quorate::gateway_config(merge(
    {
      name     = local.pods[0]
      region   = var.name
      data_dir = "/var/lib/quorate"
      listen   = { address = "0.0.0.0:${local.ports.listen}" }
      admin    = { address = "0.0.0.0:${local.ports.admin}", token_file = "/etc/quorate/admin/token" }
      peer = {
        address   = "0.0.0.0:${local.ports.peer}"
        advertise = "${local.pods[0]}.${local.domain}:${local.ports.peer}"
        ca_file   = "/etc/quorate/identity/ca.crt"
        cert_file = "/etc/quorate/identity/${local.pods[0]}.crt"
        key_file  = "/etc/quorate/identity/${local.pods[0]}.key"
      }
      control = {
        expect = length(var.expect) == 0 ? null : var.expect
        join   = concat(var.join, [for pod in local.pods : "${pod}.${local.domain}:${local.ports.peer}"])
      }
      services = var.services
    },
    var.config,
  ))

  container = {
    name  = "quorate"
    image = var.image
    args  = ["serve", "--config", "/etc/quorate/config/quorate.yaml"]
    env = [
      { name = "QUORATE_NAME", valueFrom = { fieldRef = { fieldPath = "metadata.name" } } },
      { name = "QUORATE_PEER_ADVERTISE", value = "$(QUORATE_NAME).${local.domain}:${local.ports.peer}" },
      { name = "QUORATE_PEER_CERT_FILE", value = "/etc/quorate/identity/$(QUORATE_NAME).crt" },
      { name = "QUORATE_PEER_KEY_FILE", value = "/etc/quorate/identity/$(QUORATE_NAME).key" },
    ]
    ports = [for name, port in local.ports : { name = name, containerPort = port }]
    # A minority is alive and ready: it serves reads, and a restart mends nothing.
    livenessProbe  = { httpGet = { path = "/livez", port = "admin" }, periodSeconds = 10, timeoutSeconds = 5, failureThreshold = 6 }
    readinessProbe = { httpGet = { path = "/readyz", port = "admin" }, periodSeconds = 5, timeoutSeconds = 2, failureThreshold = 2 }
    startupProbe   = { httpGet = { path = "/livez", port = "admin" }, periodSeconds = 2, failureThreshold = 60 }
    resources      = var.resources
    securityContext = {
      allowPrivilegeEscalation = false
      readOnlyRootFilesystem   = true
      capabilities             = { drop = ["ALL"] }
    }
    volumeMounts = [
      { name = "config", mountPath = "/etc/quorate/config", readOnly = true },
      { name = "identity", mountPath = "/etc/quorate/identity", readOnly = true },
      { name = "admin", mountPath = "/etc/quorate/admin", readOnly = true },
      { name = "data", mountPath = "/var/lib/quorate" },
      { name = "tmp", mountPath = "/tmp" },
    ]
  }

  pod = {
    serviceAccountName           = "default"
    automountServiceAccountToken = false
    # Else Kubernetes puts QUORATE_..._SERVICE_HOST and the like, of Services whose names begin so, into the environment,
    # where a gateway takes them for misspelt settings and does not start.
    enableServiceLinks = false
    # More than shutdown.drain, so that requests in flight finish.
    terminationGracePeriodSeconds = 60
    securityContext               = { runAsNonRoot = true, runAsUser = 65532, runAsGroup = 65532, fsGroup = 65532, seccompProfile = { type = "RuntimeDefault" } }
    affinity = { podAntiAffinity = { requiredDuringSchedulingIgnoredDuringExecution = [
      { labelSelector = { matchLabels = local.labels }, topologyKey = "kubernetes.io/hostname" },
    ] } }
    containers = [local.container]
    volumes = [
      { name = "config", configMap = { name = local.app } },
      { name = "identity", secret = { secretName = var.identity_secret, defaultMode = 288 } }, # 0440
      { name = "admin", secret = { secretName = var.admin_secret, defaultMode = 288 } },
      { name = "tmp", emptyDir = { sizeLimit = "64Mi" } },
    ]
  }

  manifests = {
    "configmap" = {
      apiVersion = "v1"
      kind       = "ConfigMap"
      metadata   = merge(local.meta, { name = local.app })
      data       = { "quorate.yaml" = local.config }
    }
    "service-headless" = { # gateways find each other before they are ready
      apiVersion = "v1"
      kind       = "Service"
      metadata   = merge(local.meta, { name = local.app })
      spec = {
        clusterIP                = "None"
        publishNotReadyAddresses = true
        selector                 = local.labels
        ports                    = [{ name = "peer", port = local.ports.peer, targetPort = "peer" }]
      }
    }
    "service" = {
      apiVersion = "v1"
      kind       = "Service"
      metadata   = merge(local.meta, { name = "${local.app}-agents" })
      spec       = { selector = local.labels, ports = [{ name = "mcp", port = 80, targetPort = "listen" }] }
    }
    "statefulset" = {
      apiVersion = "apps/v1"
      kind       = "StatefulSet"
      metadata   = merge(local.meta, { name = local.app })
      spec = {
        serviceName         = local.app
        replicas            = var.replicas
        podManagementPolicy = "Parallel" # voters wait for each other
        selector            = { matchLabels = local.labels }
        template            = { metadata = { labels = local.labels }, spec = local.pod }
        volumeClaimTemplates = [{
          metadata = { name = "data" }
          spec = merge(
            { accessModes = ["ReadWriteOnce"], resources = { requests = { storage = var.storage } } },
            { for k, v in { storageClassName = var.storage_class } : k => v if v != "" },
          )
        }]
      }
    }
    "poddisruptionbudget" = {
      apiVersion = "policy/v1"
      kind       = "PodDisruptionBudget"
      metadata   = merge(local.meta, { name = local.app })
      spec       = { maxUnavailable = 1, selector = { matchLabels = local.labels } }
    }
    "networkpolicy" = {
      apiVersion = "networking.k8s.io/v1"
      kind       = "NetworkPolicy"
      metadata   = merge(local.meta, { name = local.app })
      spec = {
        podSelector = { matchLabels = local.labels }
        policyTypes = ["Ingress"]
        ingress = [
          { ports = [{ port = "listen" }] },
          { ports = [{ port = "peer" }], from = concat([{ podSelector = { matchLabels = local.labels } }], [for cidr in var.peer_cidrs : { ipBlock = { cidr = cidr } }]) },
          { ports = [{ port = "admin" }], from = [{ namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = var.operators_namespace } } }] },
        ]
      }
    }
  }
}
