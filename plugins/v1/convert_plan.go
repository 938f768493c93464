package strategyv1

import (
	"time"

	"github.com/quorate/quorate/strategies"
)

// FromPlanInput is a replication strategy's input as it goes over the wire.
func FromPlanInput(in strategies.PlanInput) *PlanRequest {
	return &PlanRequest{
		Service: in.Service, Roster: fromRoster(in.Roster), Factor: uint32(in.Factor), TimeoutMs: milliseconds(in.Timeout),
		Retries: uint32(in.Retries), Options: in.Options,
	}
}

// Input is what a strategy was asked, or what is wrong with it.
func (x *PlanRequest) Input() (strategies.PlanInput, error) {
	in := strategies.PlanInput{
		Service: x.GetService(), Roster: roster(x.GetRoster()), Factor: small(x.GetFactor()), Timeout: duration(x.GetTimeoutMs()),
		Retries: small(x.GetRetries()), Options: x.GetOptions(),
	}
	return in, in.Validate()
}

// FromPlan is a plan as it goes over the wire.
func FromPlan(p strategies.Plan) *PlanResponse {
	return &PlanResponse{
		Class: Class(p.Class), Copies: uint32(max(p.Copies, 0)), TimeoutMs: milliseconds(p.Timeout), Retries: uint32(max(p.Retries, 0)), Spread: Spread(p.Spread),
	}
}

// Valid is the plan of an answer, or what is wrong with it.
func (x *PlanResponse) Valid() (strategies.Plan, error) {
	p := strategies.Plan{
		Class: strategies.Class(word(x.GetClass())), Copies: small(x.GetCopies()), Timeout: duration(x.GetTimeoutMs()),
		Retries: small(x.GetRetries()), Spread: strategies.Spread(word(x.GetSpread())),
	}
	return p, p.Validate()
}

// FromSettings is what a strategy is told, as it goes over the wire.
func FromSettings(s strategies.Settings) *ConfigureRequest {
	return &ConfigureRequest{Gateway: s.Gateway, Region: s.Region, Settings: s.JSON}
}

// Told is what a strategy is told, or what is wrong with it.
func (x *ConfigureRequest) Told() (strategies.Settings, error) {
	s := strategies.Settings{Gateway: x.GetGateway(), Region: x.GetRegion(), JSON: x.GetSettings()}
	return s, s.Validate()
}

// word keeps a word to come, or a negative one, from wrapping into one that is known.
func word[E ~int32](e E) uint8 {
	if e < 0 || e > 255 {
		return 0
	}
	return uint8(e)
}

func milliseconds(d time.Duration) uint32 { return uint32(max(d.Milliseconds(), 0)) }

func duration(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }
