package fleet

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/quorate/quorate/internal/chaos/schedule"
)

// An order may have to wait for a leader: it is given again and again until its time is over.
const (
	orderTimeout = 4 * time.Second
	orderPause   = 200 * time.Millisecond
)

// order asks for a change of the fleet, at every gateway at once until one has taken it: the same order again changes
// nothing. That none does is no error: in a fleet that is cut to pieces that is as it should be, and what came of it is
// seen by the rule that settles.
func (f *Fleet) order(ctx context.Context, fault schedule.Fault) {
	for _, name := range fault.To {
		method, path, body := f.asked(fault.Kind, name)
		ctx, taken := context.WithTimeout(ctx, orderTimeout)
		_ = each(f.members, func(m *Member) error { // see above
			if m.orders(ctx, method, path, body) {
				taken()
			}
			return nil
		})
		taken()
	}
}

// orders gives an order to one gateway until it is taken, or somewhere else is.
func (m *Member) orders(ctx context.Context, method, path string, body *string) (taken bool) {
	d := m.Door()
	defer d.Close()
	pause := time.NewTicker(orderPause)
	defer pause.Stop()
	for {
		if status, err := d.ask(ctx, method, path, body, nil); err == nil && status < http.StatusMultipleChoices {
			return true
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return false
		}
	}
}

// asked is the request for an order about one gateway.
func (f *Fleet) asked(kind schedule.Kind, name string) (method, path string, body *string) {
	text := fmt.Sprintf(`{"strategy":%q,"master":%q}`, f.cfg.Strategy, name)
	switch kind {
	case schedule.Vote:
		text = `{"role":"voter"}`
		return http.MethodPut, "/v1/voters/" + name, &text
	case schedule.Unvote:
		return http.MethodDelete, "/v1/voters/" + name, nil
	}
	return http.MethodPut, "/v1/strategies/split_brain", &text
}
