// Package strategyv1 is the wire between the gateway and a strategy in version 1: generated code, and what turns it
// into the vocabulary of package strategies and back. It must not know processes, handshakes or who decides.
package strategyv1

//go:generate ../../scripts/generate-proto plugins/v1/strategy.proto
