//go:build !race

package authority

// share is what the simulations run of their schedules: one in so many.
const share = 1
