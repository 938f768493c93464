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
# How many schedules make chaos goes through, and the seed of the first; empty: one from the clock.
RUNS ?= 20
SEED ?= 0
# Passed to the command behind demo, conformance, bench, bench-failover and chaos.
ARGS ?=
# Of test/ what make race leaves out: its gateways are processes, which are built without the detector. What is new is run.
UNRACED ?= authority chaos conformance discovery kill overload peers regions serve sessions terraform
# Where install-provider puts the provider; empty: this user's ~/.terraform.d/plugins.
MIRROR ?=

.PHONY: help build demo install-provider test race lint generate verify conformance bench bench-failover bench-regions bench-sessions chaos chaos-exhaustive chaos-planted fuzz tools deps clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: bin/quorate bin/quorate-bench bin/quorate-jetstream ## build the binaries into bin/

# Go knows best whether anything changed.
bin/%: FORCE
	@mkdir -p bin
	$(GO) build -trimpath -o $@ ./cmd/$*

# A module of its own, which links NATS's client library.
bin/quorate-jetstream: FORCE
	@mkdir -p bin
	$(GO) -C jetstream build -trimpath -o ../bin/ ./cmd/quorate-jetstream

demo: bin/quorate ## three regions, nodes, a region and links that fail, agents that go on, one side that writes (ARGS=--once for half a minute)
	@bin/quorate demo $(ARGS)

# Processes, sockets and installed peers are not among what Go's test cache looks at, hence -count=1. What runs many
# processes (test/) has the machine to itself, package by package: two such packages at once starve each other's nodes.
# All of it runs, whatever fails: who reads the log wants to know of everything.
define GOTEST
	status=0; \
	$(GO) test $(1) -count=1 $(GOTESTFLAGS) $$($(GO) list ./... | grep -v '/quorate/test/') || status=1; \
	$(GO) test $(1) -count=1 -p 1 $(GOTESTFLAGS) $(2) || status=1; \
	$(GO) -C jetstream test $(1) -count=1 $(GOTESTFLAGS) ./... || status=1; \
	exit $$status
endef

test: deps ## all tests, installing what they need
	$(call GOTEST,-timeout=20m,./test/...)

race: export CGO_ENABLED = 1
race: deps ## all tests under the race detector, less those that look at processes built without it (UNRACED= runs them too)
	@echo "not under the race detector: $(or $(UNRACED:%=test/%),nothing). Their gateways are processes built without it; make test runs them"
	$(call GOTEST,-race -timeout=30m,$(patsubst %/,./%/...,$(filter-out $(UNRACED:%=test/%/),$(wildcard test/*/))))

deps:
	@scripts/install-test-deps.sh

install-provider: ## build the Terraform provider into a filesystem mirror (MIRROR=DIR), so that terraform init needs no registry
	@scripts/install-provider $(MIRROR)

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
	JUDGE_TIMES=1 $(GO) test -v -count=1 -p 1 -timeout=40m $(GOTESTFLAGS) ./test/regions ./test/overload ./test/discovery

# HERD, SESSIONS, PARTITION (seconds), KEYED and KILLS say how much; docs/evidence.md has what was run.
bench-sessions: deps ## sessions whose gateway, region or disk is lost, judged: times, a heal after 60 s, 100,000 sessions (root)
	JUDGE_TIMES=1 PARTITION=60 HERD=100000 $(GO) test -v -count=1 -timeout=60m $(GOTESTFLAGS) ./test/sessions

# Both go on where they were broken off, and leave their reports in bin/chaos (docs/chaos.md).
chaos: bin/quorate bin/quorate-bench ## fleets of real gateways under RUNS schedules of faults from SEED, judged by effects (root)
	@bin/quorate-bench chaos --quorate bin/quorate --runs $(RUNS) --seed $(SEED) $(ARGS)

chaos-exhaustive: bin/quorate bin/quorate-bench ## every split and every directed cut of 3 and 5 gateways under 4 strategies (root)
	@bin/quorate-bench chaos-exhaustive --quorate bin/quorate --dir bin/chaos-exhaustive $(ARGS)

chaos-planted: ## whether the judge of chaos finds each bug that is planted for it (root)
	CHAOS_EVERY_PLOT=1 $(GO) test -v -count=1 -timeout=40m $(GOTESTFLAGS) -run TestPlantedBugs ./test/chaos

fuzz: ## every fuzz target for FUZZTIME
	@GO='$(GO)' scripts/fuzz '$(FUZZTIME)'

clean: ## remove what was built here
	rm -rf bin coverage.out
