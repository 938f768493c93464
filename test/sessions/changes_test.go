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
			t.Logf("%s: N=%d changes of %d sessions, %.0f/s, p50 %.1f ms, p99 %.1f ms; %d bytes of %d records at this gateway, %d of %d in the group%s",
				s.name, len(took), len(agents), float64(len(took))/seconds, quantile(took, .5), quantile(took, .99),
				l.Bytes, l.Records, l.CommittedBytes, l.Committed, inFiles(t, c))
			if len(took) == 0 {
				t.Error("nothing was changed")
			}
		})
	}
}

// inFiles is what one NATS server has in its streams.
func inFiles(t *testing.T, c *natsproc.Cluster) string {
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
	text, _ := json.Marshal(said)
	return ", at a NATS server " + string(text)
}
