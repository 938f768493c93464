package verify

import (
	"testing"

	"github.com/quorate/quorate/regions"
)

func TestStep(t *testing.T) {
	defaults := Thresholds{Failures: 3, Successes: 2}
	strict := Thresholds{Failures: 1, Successes: 1}
	const (
		unknown, healthy, degraded, unhealthy = regions.Unknown, regions.Healthy, regions.Degraded, regions.Unhealthy
	)
	tests := []struct {
		name   string
		limits Thresholds
		from   Health
		events []Event
		want   Health
	}{
		{"never verified, first good", defaults, Health{}, []Event{Good}, Health{State: healthy}},
		{"never verified, then good", defaults, Health{}, []Event{Bad, Bad, Bad, Bad, Good}, Health{State: healthy}},
		{"never verified takes no traffic", defaults, Health{}, []Event{Bad, Bad, Bad, Bad}, Health{State: unknown, Failures: 4}},
		{"never verified and dead", defaults, Health{}, []Event{Dead}, Health{State: unknown, Failures: 3}},
		{"stays healthy", defaults, Health{State: healthy}, []Event{Good, Good}, Health{State: healthy}},
		{"first failure degrades", defaults, Health{State: healthy}, []Event{Bad}, Health{State: degraded, Failures: 1}},
		{"two failures", defaults, Health{State: healthy}, []Event{Bad, Bad}, Health{State: degraded, Failures: 2}},
		{"three failures", defaults, Health{State: healthy}, []Event{Bad, Bad, Bad}, Health{State: unhealthy, Failures: 3}},
		{"failures must be in a row", defaults, Health{State: healthy}, []Event{Bad, Bad, Good, Bad}, Health{State: degraded, Failures: 1}},
		{"degraded needs two good", defaults, Health{State: healthy}, []Event{Bad, Good}, Health{State: degraded, Successes: 1}},
		{"degraded recovers", defaults, Health{State: healthy}, []Event{Bad, Good, Good}, Health{State: healthy}},
		{"dead at once", defaults, Health{State: healthy}, []Event{Dead}, Health{State: unhealthy, Failures: 3}},
		{"dead from degraded", defaults, Health{State: degraded, Failures: 2}, []Event{Dead}, Health{State: unhealthy, Failures: 3}},
		{"dead counts on", defaults, Health{State: unhealthy, Failures: 7}, []Event{Dead}, Health{State: unhealthy, Failures: 8}},
		{"one good is not up", defaults, Health{State: unhealthy, Failures: 3}, []Event{Good}, Health{State: unhealthy, Successes: 1}},
		{"two good are up", defaults, Health{State: unhealthy, Failures: 3}, []Event{Good, Good}, Health{State: healthy}},
		{"good ones must be in a row", defaults, Health{State: unhealthy, Failures: 3}, []Event{Good, Bad, Good}, Health{State: unhealthy, Successes: 1}},
		{"dead between good ones", defaults, Health{State: unhealthy, Failures: 3}, []Event{Good, Dead, Good}, Health{State: unhealthy, Successes: 1}},
		{"down stays down", defaults, Health{State: unhealthy, Failures: 3}, []Event{Good, Bad}, Health{State: unhealthy, Failures: 1}},
		{"impostor at once", defaults, Health{State: healthy}, []Event{Impostor}, Health{Failures: 1, Unproven: true}},
		{"impostor, no panic traffic", defaults, Health{State: unhealthy, Failures: 3}, []Event{Impostor}, Health{Failures: 4, Unproven: true}},
		{"impostor before the first good check", defaults, Health{}, []Event{Impostor}, Health{Failures: 1, Unproven: true}},
		{"impostor that then hangs", defaults, Health{State: healthy}, []Event{Impostor, Bad, Bad, Bad}, Health{Failures: 4, Unproven: true}},
		{"impostor that is then dead", defaults, Health{State: healthy}, []Event{Impostor, Dead}, Health{Failures: 3, Unproven: true}},
		{"one proof is not enough", defaults, Health{State: healthy}, []Event{Impostor, Good}, Health{Successes: 1, Unproven: true}},
		{"proofs must be in a row", defaults, Health{State: healthy}, []Event{Impostor, Good, Impostor, Good}, Health{Successes: 1, Unproven: true}},
		{"two proofs", defaults, Health{State: healthy}, []Event{Impostor, Good, Good}, Health{State: healthy}},
		{"strict down", strict, Health{State: healthy}, []Event{Bad}, Health{State: unhealthy, Failures: 1}},
		{"strict up", strict, Health{State: unhealthy, Failures: 9}, []Event{Good}, Health{State: healthy}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := tt.from
			for _, e := range tt.events {
				h = Step(tt.limits, h, e)
			}
			if h != tt.want {
				t.Errorf("got %+v, want %+v", h, tt.want)
			}
		})
	}
}
