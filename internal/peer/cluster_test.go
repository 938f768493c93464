package peer

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
)

// member is a gateway whose cluster a test changes.
type member struct {
	*gateway
	cluster atomic.Value
}

func startMember(t *testing.T, f fleet, region, name, cluster string) *member {
	t.Helper()
	m := &member{}
	m.cluster.Store(cluster)
	m.gateway = start(t, f.credentials(t, f.issue(t, region, name, ca.Options{})), "", func(c *Config) {
		c.Cluster = func() string { return m.cluster.Load().(string) }
		c.Signal = func(Identity, []byte) {}
	})
	return m
}

// linked reports whether a and b have linked each other.
func linked(a, b *member) func() bool {
	return func() bool {
		return a.link("west", false).Up && a.link("west", true).Up && b.link("east", false).Up && b.link("east", true).Up
	}
}

func acquaint(t *testing.T, cluster string) (a, b *member) {
	t.Helper()
	f := newFleet(t)
	a, b = startMember(t, f, "east", "a", cluster), startMember(t, f, "west", "b", "")
	a.dial(t, Remote{Region: "west", Address: b.address})
	b.dial(t, Remote{Region: "east", Address: a.address})
	await(t, "linked both ways", linked(a, b))
	return a, b
}

// A link outlives a change of cluster until somebody asks for new hellos; those do not link two clusters.
func TestClustersAreNotMixed(t *testing.T) {
	t.Parallel()
	a, b := acquaint(t, "x/1")
	since := a.link("west", false).Since
	b.cluster.Store("y/1")
	if err := a.Alive(t.Context(), "west", b.address); err != nil {
		t.Errorf("the link is not kept: %v", err)
	}
	if l := a.link("west", false); !l.Since.Equal(since) {
		t.Errorf("a new link: %+v", l)
	}
	b.Regreet()
	for _, g := range []*member{a, b} {
		other := map[*member]string{a: "west", b: "east"}[g]
		await(t, "refused, and told why", func() bool {
			return !g.link(other, true).Up && strings.Contains(g.link(other, false).Error, "different clusters: ")
		})
		if l := g.link(other, false); !strings.Contains(l.Error, "x/1") || !strings.Contains(l.Error, "y/1") || g.Signal(l.Gateway, nil) {
			t.Errorf("%+v", l)
		}
		await(t, "counted", func() bool { return g.Refused() > 0 })
	}
	if err := a.Alive(t.Context(), "west", b.address); !errors.Is(err, ErrCluster) {
		t.Errorf("alive: %v", err)
	}
	b.cluster.Store("x/1")
	b.Regreet()
	await(t, "linked again", linked(a, b))
}

// New hellos are no fault: nobody warns, and the links are back at once.
func TestRegreet(t *testing.T) {
	t.Parallel()
	a, b := acquaint(t, "")
	for _, g := range []*member{a, b} {
		outs, ins := a.link("west", false).Since, a.link("west", true).Since
		began := time.Now()
		g.cluster.Store("x/1")
		g.Regreet()
		await(t, "new links", func() bool {
			return linked(a, b)() && a.link("west", false).Since.After(outs) && a.link("west", true).Since.After(ins)
		})
		if took := time.Since(began); took > time.Second {
			t.Errorf("after %s", took)
		}
	}
	if a.log.has("level=WARN") || b.log.has("level=WARN") || a.Refused()+b.Refused() > 0 {
		t.Error("new hellos pass for a fault")
	}
}

// Hellos that were on their way when new ones were asked for name the old cluster.
func TestRegreetWhileGreeting(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var once atomic.Bool
	var b *gateway
	ready := make(chan struct{})
	b = start(t, f.credentials(t, f.issue(t, "west", "b", ca.Options{})), "", func(c *Config) {
		c.Cluster = func() string {
			<-ready
			if once.CompareAndSwap(false, true) {
				b.Regreet()
				return "old/1"
			}
			return "new/1"
		}
	})
	close(ready)
	a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", nil)
	a.dial(t, Remote{Region: "west", Address: b.address})
	await(t, "a link under the new cluster", func() bool {
		s := b.directory.best("a", false)
		return s != nil && s.era == b.era.Load() && a.up("west")()
	})
	l := b.Streams()
	once.Store(false)
	if _, err := a.Stream(t.Context(), b.address); err == nil || !strings.Contains(err.Error(), errRegreet.Error()) {
		t.Errorf("a stream under the old cluster: %v", err)
	}
	a.stream(t, b.address)
	accept(t, l)
}

func TestHelloIsBounded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ address, want string }{
		{"", ""}, {"10.0.0.1:9100", "10.0.0.1:9100"}, {"gw.example:9100", "gw.example:9100"}, {"[2001:db8::1]:1", "[2001:db8::1]:1"},
		{"gw.example", ""}, {":9100", ""}, {"0.0.0.0:9100", ""}, {"[::]:9100", ""}, {"gw:0", ""}, {"gw:65536", ""}, {"gw:http", ""},
		{"g w:1", ""}, {"gw\n:1", ""}, {"\x1b[2J:1", ""}, {"gw:1/x", ""}, {strings.Repeat("g", maxAddress) + ":1", ""},
	} {
		if got := (hello{Address: tc.address}).advertised(); got != tc.want {
			t.Errorf("%q: %q", tc.address, got)
		}
	}
	who, mine := Identity{"west", "b"}, hello{Gateway: "a", Cluster: "x/1"}
	for _, tc := range []struct {
		cluster string
		is      error
	}{
		{"", nil}, {"x/1", nil}, {"x/2", ErrCluster}, {strings.Repeat("y", MaxCluster), ErrCluster},
		{strings.Repeat("y", MaxCluster+1), ErrFrame}, {"x 1", ErrFrame}, {"x\x1b[2J", ErrFrame}, {"é", ErrFrame},
	} {
		err := mixed(hello{Cluster: tc.cluster}, mine, who)
		if !errors.Is(err, tc.is) || err != nil && (len(err.Error()) > maxText || strings.ContainsRune(err.Error(), '\x1b')) {
			t.Errorf("%q: %v", tc.cluster, err)
		}
	}
}

// A cluster's name that others would refuse is not said.
func TestOwnClusterIsBounded(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	b := startMember(t, f, "west", "b", "")
	a := startMember(t, f, "east", "a", "no name")
	a.dial(t, Remote{Region: "west", Address: b.address})
	await(t, "said", func() bool { return strings.Contains(a.link("west", false).Error, `cluster "no name"`) })
}

func FuzzHello(f *testing.F) {
	for _, h := range []hello{{}, {Min: 1, Max: 1, Region: "west", Gateway: "b", Address: "h:1", Cluster: "x/1"}, {Max: 1, Cluster: "\x00"}} {
		payload, err := json.Marshal(h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	p := &Peers{identity: Identity{"east", "a"}}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var h hello
		if json.Unmarshal(payload, &h) != nil {
			return
		}
		if at := h.advertised(); at != "" && (at != h.Address || len(at) > maxAddress || printable(at) != at[:min(len(at), maxText)]) {
			t.Errorf("advertised %q", at)
		}
		err := p.judge(h, hello{Gateway: "a", Cluster: "x/1"}, Identity{"west", "b"})
		if err == nil && (h.Gateway != "b" || h.Cluster != "" && h.Cluster != "x/1") {
			t.Errorf("good: %+v", h)
		}
		if err != nil && byeFor(err) == "" {
			t.Errorf("nobody is told: %v", err)
		}
	})
}
