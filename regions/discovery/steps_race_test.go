//go:build race

package discovery

// steps is fewer where each takes ten times as long, and no goroutine is there to race.
const steps = 100_000
