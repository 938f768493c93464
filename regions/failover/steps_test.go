//go:build !race

package failover

// steps is how many the simulations make for each seed.
const steps = 1_000_000
