package sessions_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
)

// TestChanges measures how many changes of sessions a gateway takes in a second under each strategy, in one run, and what
// a session costs where it is kept. make test only shows that it works: CHANGES_FOR=5s is for figures.
func TestChanges(t *testing.T) {
	lasts, err := time.ParseDuration(cmp.Or(os.Getenv("CHANGES_FOR"), "500ms"))
	if err != nil {
		t.Fatal(err)
	}
	c := nats(t)
	var rows []changesRow
	for _, s := range []struct{ name, config string }{
		{"async", ""}, {"quorum", "replication: {strategy: quorum}\n"}, {"jetstream", inJetStream(c)},
	} {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t, setup{config: s.config})
			m := w.members[0]
			agents := w.connectAll(m.url(), number(t, "SESSIONS", 32))
			var mu sync.Mutex
			var took []float64
			var work sync.WaitGroup
			begin := monotonic()
			for _, a := range agents {
				work.Go(func() {
					for i := 0; monotonic()-begin < lasts; i++ {
						from := monotonic()
						if err := a.setLevel(t.Context(), []string{"debug", "info"}[i%2]); err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						took = append(took, float64((monotonic()-from).Microseconds())/1000)
						mu.Unlock()
					}
				})
			}
			work.Wait()
			seconds := (monotonic() - begin).Seconds()
			w.copied(m)
			l := m.list()
			r := changesRow{s.name, len(took), float64(len(took)) / seconds, quantile(took, .5), quantile(took, .99), per(l.Bytes, l.Records), per(int64(l.CommittedBytes), l.Committed), 0}
			if s.name == "jetstream" {
				r.nats = inFiles(t, c)
			}
			rows = append(rows, r)
			if len(took) == 0 {
				t.Error("nothing was changed")
			}
		})
	}
	for _, r := range rows {
		t.Logf("%-9s N=%d changes, %.0f/s (%.2f of %s), p50 %.1f ms, p99 %.1f ms; bytes of a session: %d at a gateway, %d at a voter, %d at a NATS server",
			r.name, r.n, r.rate, r.rate/rows[0].rate, rows[0].name, r.p50, r.p99, r.gateway, r.voter, r.nats)
	}
	if len(rows) == 3 && (rows[1].voter == 0 || rows[2].nats == 0) {
		t.Errorf("contents are not where they should be: %+v", rows)
	}
}

// changesRow is what one strategy came to.
type changesRow struct {
	name                 string
	n                    int
	rate, p50, p99       float64 // a second, milliseconds
	gateway, voter, nats int     // bytes of a session
}

func per(bytes int64, records int) int { return int(bytes) / max(records, 1) }

// inFiles is how many bytes of an entry one NATS server has in its streams.
func inFiles(t *testing.T, c *natsproc.Cluster) int {
	t.Helper()
	answer, err := http.Get("http://" + c.Servers[0].Monitoring + "/jsz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var said struct{ Messages, Bytes int }
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	return per(int64(said.Bytes), said.Messages)
}
