package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
	"github.com/quorate/quorate/internal/testnet"
	"github.com/quorate/quorate/strategies"
)

// far is the way, in one direction, between a gateway and the servers that keep the bucket.
const far = 40 * time.Millisecond

// distant is a host that stores connect from.
type distant struct {
	ctx  context.Context
	host *testnet.Host
}

// Dial implements nats.CustomDialer.
func (d distant) Dial(network, address string) (net.Conn, error) {
	return d.host.DialContext(d.ctx, network, address)
}

// apart has three servers at home and, far from them, one with a mirror and a gateway's host.
func apart(t *testing.T) (n *testnet.Net, c *natsproc.Cluster, hosts []*testnet.Host) {
	t.Helper()
	n, cfg, hosts := apartYet(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := natsproc.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n, c, hosts
}

// apartYet is the same before the servers have started.
func apartYet(t *testing.T) (n *testnet.Net, cfg natsproc.Config, hosts []*testnet.Host) {
	t.Helper()
	if err := testnet.Available(); err != nil {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatalf("CI runs as root and has no network namespaces: %v", err)
		}
		t.Skipf("NOT TESTED, servers in network namespaces: %v", err)
	}
	cfg = natsproc.Config{Binary: programs.Server, Dir: t.TempDir()} // removed after what is below has ended
	n = testnet.New(1)
	t.Cleanup(n.Close)
	for i, region := range []string{"home", "home", "home", "away", ""} {
		h, err := n.Host(fmt.Sprintf("host-%d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		for j, o := range hosts {
			if j < 3 && i >= 3 {
				n.Set(h, o, testnet.Condition{Delay: far})
			}
		}
		if hosts = append(hosts, h); region != "" {
			at := func(port int) string { return fmt.Sprintf("%s:%d", h.Addr(), port) }
			cfg.Places = append(cfg.Places, natsproc.Place{
				Name: fmt.Sprintf("nats-%d", i+1), Client: at(4222), Cluster: at(6222), Monitoring: at(8222), Region: region,
				Group: h.Group(), Dial: h.DialContext,
			})
		}
	}
	return n, cfg, hosts
}

// at is a store whose gateway is on a host, with a mirror nearby or without.
func at(t *testing.T, c *natsproc.Cluster, h *testnet.Host, near string) *Store {
	t.Helper()
	s := &Store{Log: slog.New(slog.DiscardHandler), from: distant{t.Context(), h}}
	if err := s.Configure(t.Context(), strategies.Settings{Gateway: "gw-1", Region: "away", JSON: c.Mirrored("far", "home", near)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// kept puts a version of each key, however long the cluster takes to form.
func kept(ctx context.Context, t *testing.T, s *Store, n int, version uint64) {
	t.Helper()
	for i := range n {
		r := strategies.Record{
			Key: fmt.Sprintf("far/%d", i), Service: "tools", Owner: "gw", Version: version, Until: time.Now().Unix() + 600,
			Contents: fmt.Appendf(nil, "version %d", version),
		}
		for {
			written, err := s.Put(ctx, []strategies.Record{r})
			if err == nil && written[0].Outcome == strategies.Kept {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%v %v", written, err)
			}
		}
	}
}

// A mirror nearby saves a promise the question of what there is; once it is old it only costs one in vain, and no answer
// but a hint is an old one.
func TestMirrorIsAGuess(t *testing.T) {
	n, c, hosts := apart(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const keys = 15
	with, without := at(t, c, hosts[4], "away"), at(t, c, hosts[4], "")
	kept(ctx, t, with, keys, 1)
	hinted := func(i int) strategies.Answer {
		return asked(ctx, t, with, strategies.Query{Key: fmt.Sprintf("far/%d", i), Hint: true})
	}
	for i := range keys {
		for !hinted(i).Old {
			if wait(ctx, 50*time.Millisecond); ctx.Err() != nil {
				found, err := with.Inspect(t.Context())
				t.Fatalf("the mirror does not follow: %+v, %v", found, err)
			}
		}
	}
	ballot := uint64(0)
	took := func(s *Store, version uint64, hinted bool) time.Duration {
		ballot++
		var all []time.Duration
		for i := range keys {
			if hinted {
				asked(ctx, t, s, strategies.Query{Key: fmt.Sprintf("far/%d", i), Hint: true})
			}
			began := time.Now()
			a := asked(ctx, t, s, strategies.Query{Key: fmt.Sprintf("far/%d", i), Ballot: ballot, Until: began.Unix() + 600})
			all = append(all, time.Since(began))
			if !a.Found || a.Record.Version != version || a.Promised != ballot || string(a.Record.Contents) != fmt.Sprintf("version %d", version) {
				t.Errorf("key %d: %+v, want version %d under ballot %d", i, a, version, ballot)
			}
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	slow, told := took(without, 1, false), took(without, 1, true)
	wait(ctx, time.Second) // the mirror follows
	quick := took(with, 1, false)
	for _, h := range hosts[:3] {
		n.Change(h, hosts[3], func(c *testnet.Condition) { c.Cut = true })
	}
	for range 2 { // above the ballots that were promised
		ballot++
	}
	for i := range keys {
		r := strategies.Record{Key: fmt.Sprintf("far/%d", i), Service: "tools", Owner: "gw", Ballot: ballot, Version: 2, Until: time.Now().Unix() + 600, Contents: []byte("version 2")}
		if written, err := without.Put(ctx, []strategies.Record{r}); err != nil || written[0].Outcome != strategies.Kept {
			t.Fatalf("%v %v", written, err)
		}
	}
	if a := hinted(0); !a.Found || !a.Old || a.Record.Version != 1 {
		t.Errorf("control: the mirror is cut off, and has %+v", a)
	}
	query := strategies.Query{Key: "far/0", Hint: true}
	first, again := asked(ctx, t, without, query), asked(ctx, t, without, query)
	if !first.Found || first.Old || first.Record.Version != 2 || again.Revision != first.Revision {
		t.Errorf("without a mirror a hint is the leader's, and no write: %+v, %+v", first, again)
	}
	old := took(with, 2, false)
	took(with, 2, true) // nothing rests on a hint that is old by now
	t.Logf("N=%d promises, servers %s away, p50: %s without a mirror, %s after a hint, %s with a mirror, %s with an old one", keys, 2*far,
		slow.Round(time.Millisecond), told.Round(time.Millisecond), quick.Round(time.Millisecond), old.Round(time.Millisecond))
	if slow-told < far {
		t.Errorf("a hint saves the promise after it %s", slow-told)
	}
	if slow-quick < far {
		t.Errorf("the mirror saves %s", slow-quick)
	}
}
