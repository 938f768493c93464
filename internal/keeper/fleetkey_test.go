package keeper

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const goodKey = `{"format":1,"key":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}`

func TestFleetKeyIsSetOnce(t *testing.T) {
	p := &FleetKey{}
	if b, err := p.Snapshot(); err != nil || len(b) != 0 || p.Key() != nil {
		t.Errorf("an empty part has a snapshot of %d bytes, %v", len(b), err)
	}
	for name, c := range map[string]struct {
		command string
		is      error
	}{
		"no JSON": {"key", ErrRefused}, "short": {`{"format":1,"key":"AQE="}`, ErrRefused}, "newer": {`{"format":2,"key":"AQE="}`, ErrNewer},
		"a field of another release": {`{"format":1,"key":"AQE=","era":2}`, ErrNewer}, "huge": {string(make([]byte, 2<<10)), ErrRefused},
	} {
		if _, err := p.Apply(1, []byte(c.command)); !errors.Is(err, c.is) || p.Key() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Apply(2, []byte(goodKey)); err != nil || !bytes.Equal(p.Key(), bytes.Repeat([]byte{1}, 32)) {
		t.Fatal(err)
	}
	other := bytes.Replace([]byte(goodKey), []byte("AQEB"), []byte("AgEB"), 1)
	if _, err := p.Apply(3, other); !errors.Is(err, ErrRefused) || p.Key()[0] != 1 {
		t.Errorf("a second key: %v", err)
	}
	b, err := p.Snapshot()
	again := &FleetKey{}
	if err != nil || again.Restore(b) != nil || !bytes.Equal(again.Key(), p.Key()) {
		t.Errorf("restored: %v", err)
	}
	if err := again.Restore([]byte(`{"format":9}`)); !errors.Is(err, ErrNewer) || again.Key() == nil {
		t.Errorf("a newer snapshot: %v", err)
	}
	if err := again.Restore(nil); err != nil || again.Key() != nil {
		t.Errorf("an empty snapshot: %v", err)
	}
}

// group applies what is proposed, once it is ready.
type group struct {
	part  *FleetKey
	reads atomic.Bool
	asked atomic.Int64
	said  atomic.Int64
}

func (g *group) Allow() bool { return true }
func (g *group) AllRead(context.Context, ...string) bool {
	g.asked.Add(1)
	return g.reads.Load()
}

func (g *group) Propose(_ context.Context, _ string, command []byte) (uint64, []byte, error) {
	n := g.said.Add(1)
	_, err := g.part.Apply(uint64(n), command)
	return uint64(n), nil, err
}

// No key is proposed before every member reads the part.
func TestKeyWaitsForEveryMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &FleetKey{}
		g := &group{part: p}
		go p.Mint(t.Context(), g, slog.New(slog.DiscardHandler))
		time.Sleep(time.Minute)
		if g.asked.Load() == 0 || g.said.Load() != 0 || p.Key() != nil {
			t.Errorf("asked %d times, proposed %d", g.asked.Load(), g.said.Load())
		}
		g.reads.Store(true)
		time.Sleep(time.Second)
		if g.said.Load() != 1 || len(p.Key()) != 32 {
			t.Errorf("proposed %d times, a key of %d bytes", g.said.Load(), len(p.Key()))
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add([]byte(goodKey))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &FleetKey{}
		if err := p.Restore(b); err == nil && len(b) > 0 && len(p.Key()) != 32 {
			t.Errorf("a key of %d bytes", len(p.Key()))
		}
	})
}
