//go:build race

package authority

// share is less where each schedule takes ten times as long, and no goroutine is there to race.
const share = 10
