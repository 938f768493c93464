package keeper

import (
	"context"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

const (
	// aroundBound is how long others are waited for when they are asked whom they reach.
	aroundBound = 300 * time.Millisecond
	// aroundStands is how long what they said stands.
	aroundStands = time.Second
)

// around knows third gateways by which others are reached that this one has no link with.
type around struct {
	mu  sync.Mutex
	all map[string]detour // by the gateway to be reached
}

type detour struct {
	third string // "": nobody who was asked reaches it
	asked time.Time
}

func (a *around) get(gateway string) (detour, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d, ok := a.all[gateway]
	return d, ok && time.Since(d.asked) < aroundStands
}

func (a *around) set(gateway, third string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[string]detour{}
	}
	a.all[gateway] = detour{third, time.Now()}
}

// Third returns a gateway that reaches another which this one does not; "" for none that is known.
func (k *Keeper) Third(gateway string) string {
	if d, ok := k.around.get(gateway); ok {
		return d.third
	}
	return ""
}

// reach asks, at most every quarter of the time that an answer stands, who reaches a gateway that is cut off from here.
// It reports whether somebody does.
func (k *Keeper) reach(ctx context.Context, gateway string) bool {
	d, fresh := k.around.get(gateway)
	if fresh && (d.third != "" || time.Since(d.asked) < aroundStands/4) {
		return d.third != ""
	}
	if k.cfg.Links == nil {
		return false
	}
	k.around.set(gateway, "") // the others who wait need not ask too
	ctx, cancel := context.WithTimeout(ctx, aroundBound)
	defer cancel()
	answers, asked := make(chan string), 0
	for _, c := range k.cfg.Authority.Carriers() {
		if c.Gateway == gateway || c.Gateway == k.cfg.Gateway || !k.up(c.Gateway) {
			continue
		}
		asked++
		go func() {
			answers <- k.reaches(ctx, c, gateway) // within ctx's time, and everybody is waited for
		}()
	}
	third := ""
	for range asked {
		if one := <-answers; one != "" {
			third = one
			cancel()
		}
	}
	k.around.set(gateway, third)
	return third != ""
}

// reaches returns the name of a gateway that says that it has a link with another, "" if it does not.
func (k *Keeper) reaches(ctx context.Context, asked authority.Life, gateway string) string {
	var out struct{ Up bool }
	if k.question(ctx, asked.Gateway, "reach", struct{ Gateway string }{gateway}, &out) != nil || !out.Up {
		return ""
	}
	return asked.Gateway
}
