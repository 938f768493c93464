package control

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// As many lives and confirmations as one signal may have fit, whatever the names: a leader that hears nothing would fence
// nobody.
func TestSignalsFit(t *testing.T) {
	name := strings.Repeat("n", 128) // the longest that a certificate has
	voter := authority.VoterID{Name: name, Store: strings.Repeat("s", 26)}
	s := signal{Cluster: strings.Repeat("c", 40), Heard: &hearing{Voter: voter, Far: math.MaxInt32}}
	confirm := signal{Cluster: s.Cluster}
	for range maxHeard {
		s.Heard.Lives = append(s.Heard.Lives, heard{authority.Life{Gateway: name, Incarnation: math.MaxInt32}, time.Hour, true})
		confirm.Confirm = append(confirm.Confirm, authority.Confirmation{Voter: voter, Barrier: math.MaxInt32})
	}
	for _, s := range []signal{s, confirm} {
		if _, ok := decodeSignal(s.encode()); !ok {
			t.Error("too large")
		}
	}
}
