package edge

import (
	"cmp"
	"net"

	"github.com/quorate/quorate/gateway"
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/gateway/shed"
	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/regions"
)

// gatewayServices translates the file's words into the data plane's.
func gatewayServices(cfg *config.Config) ([]gateway.Service, error) {
	out := make([]gateway.Service, 0, len(cfg.Services))
	for i, s := range cfg.Services {
		trust, err := s.Identity.Trust()
		if err != nil {
			return nil, err
		}
		routes, err := route.Compile(routesOf(cfg.RoutesOf(i), s))
		if err != nil {
			return nil, err
		}
		out = append(out, gateway.Service{
			Name:                 s.Name,
			Path:                 s.Path,
			Trust:                trust,
			Routes:               routes,
			Attempts:             s.Retry.Attempts,
			BudgetRatio:          float64(s.Retry.BudgetPercent) / 100,
			BudgetMin:            s.Retry.BudgetMin,
			RequestStateAffinity: s.Affinity.RequestState,
			Connect:              s.Attempt.Connect,
			Suspect:              s.Attempt.Suspect,
			Probe:                s.Attempt.Probe,
			SlowStart:            s.Balance.SlowStart,
			Class:                latencyClass(s.Class),
			Spill:                spillOf(s.Spill),
			Limits:               limitsOf(cfg, &s),
			Breaker:              breakerOf(s.Breaker),
			Ledger:               gateway.Keyed{Identity: s.Ledger.IdentityHeader, Retention: s.Ledger.Retention, MaxResult: int(s.Ledger.MaxResult)},
			Session: session.Config{
				Service:      s.Name,
				IdleTimeout:  s.Session.Idle,
				Sweep:        s.Session.Sweep,
				MaxSessions:  s.Session.Max,
				BufferEvents: s.Session.BufferEvents,
				BufferBytes:  int(s.Session.BufferBytes),
			},
		})
	}
	return out, nil
}

func breakerOf(b config.Breaker) breaker.Config {
	return breaker.Config{
		Window:      b.Window,
		Ratio:       float64(b.FailurePercent) / 100,
		Volume:      b.MinCalls,
		OpenFor:     b.Open,
		Consecutive: b.Consecutive,
	}
}

func routesOf(routes []config.Route, s config.Service) []route.Route {
	out := make([]route.Route, 0, len(routes))
	for _, r := range routes {
		to := route.Route{
			Match: route.Match{
				Tool: r.Match.Tool, Prompt: r.Match.Prompt, Resource: r.Match.Resource, Method: r.Match.Method, Header: r.Match.Header,
			},
			RetryClass: classOf(r.RetryClass),
			Class:      latencyClass(cmp.Or(r.Class, s.Class)),
			Spill:      spillOf(cmp.Or(r.Spill, s.Spill)),
			Deadline:   r.Deadline,
			Limit:      r.Limit,
			Exempt:     r.Authority == config.AuthorityNone,
			Ledger:     r.Ledger == config.LedgerOn,
		}
		if r.Class != "" && r.Spill == "" {
			to.Spill = regions.SpillNext // who asks for a class means it
		}
		out = append(out, to)
	}
	return out
}

// latencyClass and spillOf translate words that the file's check has let through.
func latencyClass(word string) regions.Class {
	c, _ := regions.ParseClass(word)
	return min(c, regions.Slow)
}

func spillOf(word string) regions.Spill {
	s, _ := regions.ParseSpill(word)
	return s
}

func limitsOf(cfg *config.Config, s *config.Service) shed.Config {
	l := &s.Limits
	return shed.Config{
		Max: l.Max, Min: l.Min, Adaptive: l.Adaptive, Reserve: l.Reserve, ForeignMax: cfg.Regions[cfg.Region].Capacity,
		Shares: [3]float64{float64(l.FastPercent) / 100, float64(l.MediumPercent) / 100, float64(l.SlowPercent) / 100},
	}
}

func classOf(word string) *mcp.RetryClass {
	for _, c := range []mcp.RetryClass{mcp.Once, mcp.Retry, mcp.Hedge} {
		if c.String() == word {
			return &c
		}
	}
	return nil
}

// allowedHosts: a list of the operator's is complete only with the names by which the gateway itself
// is reached on this machine.
func allowedHosts(cfg *config.Config) []string {
	if len(cfg.Listen.AllowedHosts) == 0 {
		return nil
	}
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, cfg.Listen.AllowedHosts...)
	if host, _, err := net.SplitHostPort(cfg.Listen.Address); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	return hosts
}
