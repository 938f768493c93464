//go:build !race

package discovery

// steps is how many the simulation makes over all seeds.
const steps = 1_000_000
