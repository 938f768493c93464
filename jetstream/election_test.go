package jetstream

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
)

// soonest is less than any election of NATS takes: its servers wait for at least 4 s of silence, and the last they heard
// of a leader was up to a second before (minElectionTimeoutDefault and hbIntervalDefault of nats-server's raft.go).
const soonest = 2500 * time.Millisecond

// The API by which a bucket's leader can be asked, or had removed.
const (
	stepDown   = "$JS.API.STREAM.LEADER.STEPDOWN." + elections
	removePeer = "$JS.API.STREAM.PEER.REMOVE." + elections
)

// TestElection is what docs/strategies.md says of a bucket that loses its leader: nothing that can be asked of NATS brings
// another one sooner than NATS's own election, while a leader that is stopped in order hands over at once. Where the
// first half fails, NATS has become better than that page, and the takeover of sessions can.
func TestElection(t *testing.T) {
	e := newElectorate(t)
	for _, way := range []struct {
		name string
		lose func(*natsproc.Server)
		ask  func(lost string) (subject, body string)
		soon bool
	}{
		{name: "killed", lose: (*natsproc.Server).Kill},
		{name: "killed and asked to step down", lose: (*natsproc.Server).Kill, ask: func(string) (string, string) { return stepDown, "" }},
		{name: "killed and removed from the bucket", lose: (*natsproc.Server).Kill, ask: func(lost string) (string, string) {
			return removePeer, fmt.Sprintf(`{"peer": %q}`, lost)
		}},
		{name: "stopped in order", lose: (*natsproc.Server).Stop, soon: true},
	} {
		t.Run(way.name, func(t *testing.T) {
			var took []time.Duration
			for range trials(t) {
				took = append(took, e.without(t, way.lose, way.ask))
			}
			slices.Sort(took)
			t.Logf("N=%d leaders %s: the first write after %v", len(took), way.name, took)
			if soon := took[len(took)/2] < soonest; soon != way.soon {
				t.Errorf("half of them are on the other side of %s than docs/strategies.md says", soonest)
			}
		})
	}
}

// trials is how often each way is tried: ELECTIONS, or once.
func trials(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("ELECTIONS"), "1"))
	if err != nil || n < 1 {
		t.Fatalf("ELECTIONS is %q, which is no number of trials", os.Getenv("ELECTIONS"))
	}
	return n
}
