package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/async"
)

// replicationOf is a replication strategy of the kind, in a process of its own.
func replicationOf(kind string) strategies.Replication {
	switch kind {
	case "plans":
		return strategies.PlanFunc(async.Plan)
	case "lies":
		return strategies.PlanFunc(func(in strategies.PlanInput) (strategies.Plan, error) {
			return strategies.Plan{Class: strategies.Stored, Timeout: in.Timeout, Retries: in.Retries, Spread: strategies.SpreadNone}, nil
		})
	case "crashes":
		return strategies.PlanFunc(func(strategies.PlanInput) (strategies.Plan, error) {
			os.Exit(7)
			return strategies.Plan{}, nil
		})
	}
	return &shelf{PlanFunc: async.Plan, kind: kind}
}

// shelf is a store in memory that does what its kind says.
type shelf struct {
	strategies.PlanFunc
	kind string
	told strategies.Settings
	mu   sync.Mutex
	have map[string]strategies.Record
}

func (s *shelf) Configure(_ context.Context, told strategies.Settings) error {
	if s.kind == "refuses settings" {
		return strategies.Refuse("no bucket is named")
	}
	s.told, s.have = told, map[string]strategies.Record{}
	return nil
}

func (s *shelf) Put(ctx context.Context, records []strategies.Record) ([]strategies.Written, error) {
	switch s.kind {
	case "hangs":
		select {}
	case "waits":
		<-ctx.Done()
		return nil, ctx.Err()
	case "unavailable":
		return nil, fmt.Errorf("%w: no leader", strategies.ErrUnavailable)
	case "full":
		return nil, strategies.ErrFull
	case "says little":
		return []strategies.Written{{Outcome: 9}}, nil
	case "crashes when it puts":
		os.Exit(7)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	written := make([]strategies.Written, len(records))
	for i, r := range records {
		s.have[r.Key] = r
		written[i] = strategies.Written{Outcome: strategies.Kept, Revision: uint64(len(records))}
	}
	return written, nil
}

func (s *shelf) Get(_ context.Context, queries []strategies.Query) ([]strategies.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers := make([]strategies.Answer, len(queries))
	for i, q := range queries {
		answers[i].Record, answers[i].Found = s.have[q.Key]
		if s.kind == "mixes keys" {
			answers[i].Record.Key = "another"
		}
		if s.kind != "promises nothing" {
			answers[i].Promised = q.Ballot
		}
	}
	return answers, nil
}

func (s *shelf) List(ctx context.Context, each func(strategies.Head) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.have {
		for i := 0; i == 0 || s.kind == "lists without end"; i++ {
			if err := each(r.Head()); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (s *shelf) Inspect(context.Context) ([]strategies.Finding, error) {
	return []strategies.Finding{{Good: true, Subject: "settings", Text: s.told.JSON}}, nil
}

// replicator returns one that runs until the test ends, and is running now.
func replicator(t *testing.T, kind string, change func(*Config)) *Replicator {
	t.Helper()
	cfg := config(t, kind)
	cfg.Args = []string{"replication", kind}
	cfg.Told = strategies.Settings{Gateway: "gw-1", Region: "r1", JSON: `{"a":1}`}
	if kind == "plans" || kind == "lies" || kind == "crashes" {
		cfg.Told.JSON = ""
	}
	if change != nil {
		change(&cfg)
	}
	r, err := NewReplicator(cfg)
	if err != nil {
		t.Fatal(err)
	}
	beside.Run(t, r.Run)
	runs(t, r)
	return r
}

func runs(t *testing.T, r *Replicator) {
	t.Helper()
	until(t, func() error {
		if s := r.Status(); s.State != Running {
			return fmt.Errorf("%s: %w", s.State, s.Err)
		}
		return nil
	})
}

func question() strategies.PlanInput {
	return strategies.PlanInput{Service: "tools", Roster: three().Roster, Factor: 2, Timeout: time.Second, Retries: 3}
}

func one(key string, size int) strategies.Record {
	return strategies.Record{Key: key, Service: "tools", Owner: "gw-1", Version: 1, Until: 1 << 40, Contents: make([]byte, size)}
}

func TestReplicatorPlans(t *testing.T) {
	r := replicator(t, "plans", nil)
	p, err := r.Plan(t.Context(), question())
	if err != nil || p.String() != "async, 2 copies, spread over region, 3 tries of 1s" {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := r.Plan(t.Context(), strategies.PlanInput{}); err == nil {
		t.Error("an invalid input is asked about")
	}
	if stores, _ := r.Stores(); stores {
		t.Error("it is a store")
	}
	if _, err := r.Put(t.Context(), []strategies.Record{one("a", 1)}); !errors.Is(err, ErrNoStore) {
		t.Errorf("put: %v", err)
	}
	if err := r.List(t.Context(), nil); !errors.Is(err, ErrNoStore) {
		t.Errorf("list: %v", err)
	}
	if p, err := replicator(t, "lies", nil).Plan(t.Context(), question()); !errors.Is(err, ErrInadmissible) {
		t.Errorf("to store without a store: %v, %v", p, err)
	}
	if _, err := replicator(t, "crashes", nil).Plan(t.Context(), question()); !errors.Is(err, ErrFailed) {
		t.Errorf("a crash: %v", err)
	}
}

// What is larger than a call is divided, and comes back whole.
func TestReplicatorStores(t *testing.T) {
	r := replicator(t, "good", nil)
	if stores, state := r.Stores(); !stores || state != "closed" {
		t.Errorf("%t, %s", stores, state)
	}
	var records []strategies.Record
	var queries []strategies.Query
	for i := range 6 {
		records = append(records, one(fmt.Sprint("k", i), 1<<20))
		queries = append(queries, strategies.Query{Key: fmt.Sprint("k", i), Ballot: 1, Until: 1 << 40})
	}
	written, err := r.Put(t.Context(), append(records, one("k0", 3)))
	if err != nil || len(written) != 7 || written[0].Revision != 3 || written[6].Revision != 1 {
		t.Errorf("%+v, %v", written, err)
	}
	answers, err := r.Get(t.Context(), queries)
	if err != nil || len(answers) != 6 || len(answers[0].Record.Contents) != 3 || len(answers[5].Record.Contents) != 1<<20 {
		t.Errorf("%d answers, %v", len(answers), err)
	}
	count := 0
	if err := r.List(t.Context(), func(h strategies.Head) error {
		count++
		return nil
	}); err != nil || count != 6 {
		t.Errorf("%d listed, %v", count, err)
	}
	enough := errors.New("enough")
	if err := r.List(t.Context(), func(strategies.Head) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	if found, err := r.Inspect(t.Context()); err != nil || found[0].Text != `{"a":1}` {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := r.Put(t.Context(), []strategies.Record{{}}); err == nil {
		t.Error("what is no record is put")
	}
	if _, err := r.Get(t.Context(), []strategies.Query{{}}); err == nil {
		t.Error("what is no key is asked for")
	}
	if _, err := r.Get(t.Context(), make([]strategies.Query, strategies.MaxBatch+1)); err == nil {
		t.Error("more is asked for than is allowed")
	}
}

// TestBadStores: whatever a store does, the host has a typed error for it.
func TestBadStores(t *testing.T) {
	for kind, want := range map[string]error{
		"hangs": ErrLate, "waits": ErrLate, "unavailable": strategies.ErrUnavailable, "full": strategies.ErrFull,
		"says little": ErrInadmissible, "crashes when it puts": strategies.ErrUnavailable,
	} {
		t.Run(kind, func(t *testing.T) {
			r := replicator(t, kind, func(c *Config) { c.Store = 300 * time.Millisecond })
			if _, err := r.Put(t.Context(), []strategies.Record{one("a", 1)}); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			if kind != "crashes when it puts" {
				if _, err := r.Plan(t.Context(), question()); err != nil {
					t.Errorf("it does not plan any more: %v", err)
				}
			}
		})
	}
	for _, kind := range []string{"mixes keys", "promises nothing"} {
		r := replicator(t, kind, nil)
		if _, err := r.Put(t.Context(), []strategies.Record{one("a", 1)}); err != nil {
			t.Error(err)
		}
		if _, err := r.Get(t.Context(), []strategies.Query{{Key: "a", Ballot: 1, Until: 1}}); !errors.Is(err, ErrInadmissible) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// A store whose engine is away is spared, and asked again after a second; plans go on.
func TestBreakerBeforeStore(t *testing.T) {
	r := replicator(t, "unavailable", nil)
	until(t, func() error {
		_, err := r.Put(t.Context(), []strategies.Record{one("a", 1)})
		if !errors.Is(err, ErrDown) {
			return err
		}
		return nil
	})
	if _, state := r.Stores(); state != "open" {
		t.Errorf("the breaker is %s", state)
	}
	if _, err := r.Plan(t.Context(), question()); err != nil {
		t.Error(err)
	}
	until(t, func() error {
		_, err := r.Put(t.Context(), []strategies.Record{one("a", 1)})
		if !errors.Is(err, strategies.ErrUnavailable) {
			return err
		}
		return nil
	})
}

// A list without end ends with its context, or by its reader.
func TestEndlessList(t *testing.T) {
	r := replicator(t, "lists without end", nil)
	if _, err := r.Put(t.Context(), []strategies.Record{one("a", 1)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var count atomic.Int64
	if err := r.List(ctx, func(strategies.Head) error { count.Add(1); return nil }); !errors.Is(err, ErrLate) || count.Load() == 0 {
		t.Errorf("%d listed, %v", count.Load(), err)
	}
	if _, err := r.Inspect(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A store that was killed is started again and told its settings again.
func TestReplicatorRestarts(t *testing.T) {
	r := replicator(t, "good", nil)
	pid := r.Status().PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, func() error {
		if s := r.Status(); s.State != Running || s.PID == pid {
			return fmt.Errorf("%s: %w", s.State, s.Err)
		}
		return nil
	})
	until(t, func() error {
		found, err := r.Inspect(t.Context())
		if err != nil {
			return err
		}
		if found[0].Text != `{"a":1}` {
			return fmt.Errorf("%+v", found)
		}
		return nil
	})
}

func TestReplicatorStart(t *testing.T) {
	for kind, want := range map[string]string{
		"refuses settings": "refused: no bucket is named",
		"plans":            "this strategy has no settings",
	} {
		cfg := config(t, kind)
		cfg.Args = []string{"replication", kind}
		cfg.Told = strategies.Settings{Gateway: "gw-1", Region: "r1", JSON: `{"a":1}`}
		if p, err := LaunchReplication(t.Context(), cfg); !errors.Is(err, ErrStart) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", kind, err)
			if err == nil {
				p.Close()
			}
		}
	}
	cfg := config(t, "good") // a split-brain one
	cfg.Told = strategies.Settings{Gateway: "gw-1", Region: "r1"}
	if p, err := LaunchReplication(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "plugins.ServeReplication") {
		t.Errorf("%v", err)
		if err == nil {
			p.Close()
		}
	}
	cfg.Told = strategies.Settings{}
	if _, err := NewReplicator(cfg); err == nil || !strings.Contains(err.Error(), "are not names") {
		t.Errorf("told nothing: %v", err)
	}
	var _ plugins.ReplicationClient = (*ReplicationPlugin)(nil)
}
