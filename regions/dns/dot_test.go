package dns

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	miekg "github.com/miekg/dns"
)

func TestOverTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	for _, tc := range []struct {
		name, cert, asked string
		by                authority
		err               error
		says              string
	}{
		{name: "the name in its certificate", cert: "dns.example", asked: "#dns.example", by: ours, says: "2 endpoints"},
		{name: "its address in its certificate", by: ours, says: "2 endpoints"},
		{name: "another name in its certificate", cert: "evil.example", asked: "#dns.example", by: ours, err: ErrUnanswered, says: "its certificate is refused"},
		{name: "a name, but its address is asked for", cert: "dns.example", by: ours, err: ErrUnanswered, says: "its certificate is refused"},
		{name: "an unknown authority", cert: "dns.example", asked: "#dns.example", by: theirs, err: ErrUnanswered, says: "its certificate is refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := serveTLS(t, honest(t, truth), tc.by.config(t, tc.cert))
			c := base("tls://" + f.addr + tc.asked)
			c.RootCAs, c.Identity = ours.pool, identity
			a := source(t, c).Ask(t.Context())
			t.Logf("verdict: over TLS, %s: nodes %v, %d queries reached it, says %q", tc.name, ids(a), f.asked.Load(), a.Voices[0].Said)
			if !errors.Is(a.Err, tc.err) || !strings.Contains(a.Voices[0].Said, tc.says) || (tc.err != nil) != (f.asked.Load() == 0) {
				t.Errorf("%v after %d queries: %+v", a.Err, f.asked.Load(), a.Voices)
			}
		})
	}
}

// A resolver that closes every stream after one reply (RFC 7766 section 6.2.3) is asked over a new one, and one that
// does not is asked over few.
func TestStreamsAreKept(t *testing.T) {
	for _, closes := range []bool{false, true} {
		var mu sync.Mutex
		streams := map[string]bool{}
		inner := honest(t, truth)
		f := serve(t, func(w miekg.ResponseWriter, q *miekg.Msg) {
			mu.Lock()
			streams[w.RemoteAddr().String()] = true
			mu.Unlock()
			inner(w, q)
			if closes {
				w.Close()
			}
		})
		c := base("tcp://" + f.addr)
		c.Identity = identity
		a := source(t, c).Ask(t.Context())
		if a.Err != nil || !slices.Equal(ids(a), both) {
			t.Errorf("closes %v: %v, %+v", closes, a.Err, a.Voices)
		}
		mu.Lock()
		if got := len(streams); closes && got != 5 || !closes && got > 2 { // SRV, then A and AAAA of two targets at once
			t.Errorf("closes %v: %d streams", closes, got)
		}
		mu.Unlock()
	}
}
