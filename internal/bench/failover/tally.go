package failover

import (
	"maps"
	"net/http"
	"sync"
)

// headerRegion is the field in which a gateway names the region that gave an answer.
const headerRegion = "Quorate-Region"

// tally counts answers by the region that gave them. Answers that name none, such as a gateway's own
// refusals, are left out.
type tally struct {
	mu sync.Mutex
	by map[string]int64
}

func (t *tally) add(region string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = make(map[string]int64)
	}
	t.by[region]++
}

func (t *tally) counts() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.by)
}

// counted is a transport whose answers are tallied.
type counted struct {
	*http.Transport
	tally *tally
}

// RoundTrip implements http.RoundTripper.
func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.Transport.RoundTrip(r)
	if err == nil && r.Method == http.MethodPost && resp.StatusCode == http.StatusOK {
		if region := resp.Header.Get(headerRegion); region != "" {
			c.tally.add(region)
		}
	}
	return resp, err
}
