# Every target works on a machine that has Go, git and curl; what else it needs it installs, outside the repository.
# `make help` lists the targets.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GO ?= go
# Passed to go test: GOTESTFLAGS='-run Kill -v' make test
GOTESTFLAGS ?=
# How long each fuzz target runs.
FUZZTIME ?= 1m
# Passed to the command behind demo, conformance, bench and bench-failover.
ARGS ?=

.PHONY: help build demo test race lint generate verify conformance bench bench-failover bench-regions fuzz tools deps clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: bin/quorate bin/quorate-bench ## build the binaries into bin/

# Go knows best whether anything changed.
bin/%: FORCE
	@mkdir -p bin
	$(GO) build -trimpath -o $@ ./cmd/$*

demo: bin/quorate ## three regions, nodes, a region and links that fail, agents that do not notice (ARGS=--once for half a minute)
	@bin/quorate demo $(ARGS)

# Processes, sockets and installed peers are not among what Go's test cache looks at, hence -count=1. What runs many
# processes (test/) has the machine to itself, package by package: two such packages at once starve each other's nodes.
define GOTEST
	$(GO) test $(1) -count=1 $(GOTESTFLAGS) $$($(GO) list ./... | grep -v '/quorate/test/')
	$(GO) test $(1) -count=1 -p 1 $(GOTESTFLAGS) ./test/...
endef

test: deps ## all tests, installing what they need
	$(call GOTEST,-timeout=20m)

race: export CGO_ENABLED = 1
race: deps ## all tests under the race detector
	$(call GOTEST,-race -timeout=30m)

deps:
	@scripts/install-test-deps.sh

tools: ## build the pinned development tools
	@scripts/install-tools

lint: ## golangci-lint
	@scripts/install-tools golangci-lint
	"$$(scripts/tools-dir)/golangci-lint" run ./...

generate: ## write generated files anew
	$(GO) generate ./...

verify: ## formatting, vet, tidy modules, generated files, import rules, lint
	@scripts/verify

conformance: deps bin/quorate bin/quorate-bench ## the official MCP conformance suites, direct and through the gateway
	@bin/quorate-bench conformance $(ARGS)

bench: deps bin/quorate bin/quorate-bench ## CPU per request against HAProxy and a bare reverse proxy
	@bin/quorate-bench proxy $(ARGS)

bench-failover: deps bin/quorate bin/quorate-bench ## gaps after kills, judged
	@bin/quorate-bench failover $(ARGS)

bench-regions: deps ## tables of 100,000 nodes; re-routes, overload and brownout across regions, judged (network namespaces want root)
	JUDGE_TIMES=1 $(GO) test -count=1 -run '^$$' -bench 'Build|Pick' -benchmem ./regions ./gateway/balance
	JUDGE_TIMES=1 $(GO) test -v -count=1 -p 1 -timeout=30m $(GOTESTFLAGS) ./test/regions ./test/overload

fuzz: ## every fuzz target for FUZZTIME
	@GO='$(GO)' scripts/fuzz '$(FUZZTIME)'

clean: ## remove what was built here
	rm -rf bin coverage.out
