package async

import (
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

func TestPlan(t *testing.T) {
	got, err := Plan(strategies.PlanInput{Service: "tools", Factor: 3, Timeout: time.Second, Retries: 4})
	if want := "async, 3 copies, spread over region, 4 tries of 1s"; err != nil || got.String() != want || got.Validate() != nil {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
}
