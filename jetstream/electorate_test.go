package jetstream

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quorate/quorate/internal/natsproc"
)

// elections is the stream of a bucket whose servers answer plain reads whoever leads, as those of a Quorate fleet do not.
const elections = "KV_elections"

// electorate is three servers and such a bucket at all of them.
type electorate struct{ *natsproc.Cluster }

func newElectorate(t *testing.T) electorate {
	t.Helper()
	e := electorate{cluster(t)}
	js := e.client(t, e.Servers)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: strings.TrimPrefix(elections, "KV_"), Replicas: 3})
	if err == nil {
		_, err = kv.Put(ctx, "key", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// client speaks to some of the servers.
func (e electorate) client(t *testing.T, to []*natsproc.Server) jetstream.JetStream {
	t.Helper()
	var urls []string
	for _, s := range to {
		urls = append(urls, "nats://"+s.Client)
	}
	conn, err := nats.Connect(strings.Join(urls, ","), nats.IgnoreDiscoveredServers())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// without loses the bucket's leader just after a write, has another one asked for, and returns after how long the others
// took a write. After it all servers are there again and have everything.
func (e electorate) without(t *testing.T, lose func(*natsproc.Server), ask func(lost string) (subject, body string)) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	leader := e.Servers[e.whole(ctx, t)]
	js := e.client(t, slices.DeleteFunc(slices.Clone(e.Servers), func(s *natsproc.Server) bool { return s == leader }))
	asked, written := context.WithCancel(ctx)
	var work sync.WaitGroup
	acked := write(ctx, js)
	if acked == 0 {
		t.Fatal("the bucket is whole and takes no write")
	}
	began := time.Now()
	lose(leader)
	work.Go(func() { plainReads(asked, t, js, acked) })
	if ask != nil {
		subject, body := ask(leader.Name)
		work.Go(func() { questions(asked, t, js.Conn(), subject, body) })
	}
	for write(ctx, js) == 0 {
		if wait(ctx, 5*time.Millisecond); ctx.Err() != nil {
			t.Errorf("no write was taken")
			break
		}
	}
	took := time.Since(began)
	written()
	work.Wait()
	if err := leader.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.Await(ctx); err != nil {
		t.Fatal(err)
	}
	return took
}

// whole waits until a leader says that its followers have everything, and returns which server it is.
func (e electorate) whole(ctx context.Context, t *testing.T) (leader int) {
	t.Helper()
	js := e.client(t, e.Servers)
	for ; ; wait(ctx, 50*time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("the bucket is not whole: %v", context.Cause(ctx))
		}
		s, err := js.Stream(ctx, elections)
		if err != nil {
			continue
		}
		at := s.CachedInfo().Cluster
		behind := slices.ContainsFunc(at.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline })
		leader = slices.IndexFunc(e.Servers, func(s *natsproc.Server) bool { return s.Name == at.Leader })
		if leader >= 0 && !behind && len(at.Replicas) == 2 {
			return leader
		}
	}
}

// write returns what an acknowledged write is counted as, 0 for one that was not.
func write(ctx context.Context, js jetstream.JetStream) uint64 {
	ctx, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
	defer cancel()
	ack, err := js.Publish(ctx, "$KV.elections.key", nil)
	if err != nil {
		return 0
	}
	return ack.Sequence
}

// plainReads asks the servers that are left for what was acknowledged last, until ctx ends. Each answers with what it has
// applied, and that a write is committed it may learn only of the next leader.
func plainReads(ctx context.Context, t *testing.T, js jetstream.JetStream, acked uint64) {
	newest, older, silent := 0, 0, 0
	refused := map[string]int{}
	for ; ctx.Err() == nil; wait(ctx, 10*time.Millisecond) {
		within, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
		m, err := js.Conn().RequestWithContext(within, "$JS.API.DIRECT.GET."+elections+".$KV.elections.key", nil)
		cancel()
		if err != nil {
			silent++
			continue
		}
		at, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
		switch {
		case err != nil:
			refused[m.Header.Get("Status")+" "+m.Header.Get("Description")]++
		case at < acked:
			older++
		default:
			newest++
		}
	}
	t.Logf("meanwhile plain reads were answered with the acknowledged write %d times, with one before it %d times, otherwise %v, and not %d times", newest, older, refused, silent)
}

// questions asks until there is an answer.
func questions(ctx context.Context, t *testing.T, conn *nats.Conn, subject, body string) {
	for began := time.Now(); ctx.Err() == nil; wait(ctx, 100*time.Millisecond) {
		within, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
		m, err := conn.RequestWithContext(within, subject, []byte(body))
		if cancel(); err != nil {
			continue
		}
		var said struct{ Error *struct{ Description string } }
		if err := json.Unmarshal(m.Data, &said); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
		what := "yes"
		if said.Error != nil {
			what = said.Error.Description
		}
		t.Logf("%s: after %d ms: %s", subject, time.Since(began).Milliseconds(), what)
		return
	}
	t.Logf("%s: no answer", subject)
}
