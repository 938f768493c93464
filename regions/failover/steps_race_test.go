//go:build race

package failover

// steps is fewer where each takes ten times as long, and no goroutine is there to race.
const steps = 200_000
