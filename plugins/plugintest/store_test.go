package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/async"
	"github.com/quorate/quorate/strategies/builtin"
)

func TestBuiltinReplicationsPass(t *testing.T) {
	for _, b := range builtin.Replications() {
		t.Run(b.Name, func(t *testing.T) { RunReplication(t, func() strategies.Replication { return b.Plan }, "", nil) })
	}
}

func TestPlanCasesAreInputs(t *testing.T) {
	for _, in := range PlanCases(map[string]string{"a": "b"}) {
		if err := in.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// TestBadPlansFail: every breach is found, and explained.
func TestBadPlansFail(t *testing.T) {
	asked := 0
	var mu sync.Mutex
	changed := func(change func(*strategies.Plan, strategies.PlanInput)) strategies.PlanFunc {
		return func(in strategies.PlanInput) (strategies.Plan, error) {
			p, err := async.Plan(in)
			change(&p, in)
			return p, err
		}
	}
	for name, tc := range map[string]struct {
		plan strategies.PlanFunc
		want string
	}{
		"too many copies": {changed(func(p *strategies.Plan, _ strategies.PlanInput) { p.Copies = 9 }), "9 copies are outside 0..8"},
		"no time":         {changed(func(p *strategies.Plan, _ strategies.PlanInput) { p.Timeout = 0 }), "timeout 0s is outside"},
		"no tries":        {changed(func(p *strategies.Plan, _ strategies.PlanInput) { p.Retries = 0 }), "0 tries are outside 1..10"},
		"no class":        {changed(func(p *strategies.Plan, _ strategies.PlanInput) { p.Class = 9 }), "class 9 is not"},
		"no spread":       {changed(func(p *strategies.Plan, _ strategies.PlanInput) { p.Spread = 0 }), "spread 0 is not"},
		"no store":        {changed(func(p *strategies.Plan, _ strategies.PlanInput) { p.Class = strategies.Stored }), "it is no store"},
		"the first in the list": {changed(func(p *strategies.Plan, in strategies.PlanInput) {
			if in.Roster[0].Name != "gw-1" {
				p.Copies = 1
			}
		}), "for the same roster in another order it answers"},
		"by turns": {changed(func(p *strategies.Plan, _ strategies.PlanInput) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			p.Copies = asked % 2
		}), "without clocks, chance or memory"},
		"lazy": {func(strategies.PlanInput) (strategies.Plan, error) {
			return strategies.Plan{}, strategies.Refuse("not today")
		}, "it refuses every roster, the last with: not today"},
		"broken": {func(strategies.PlanInput) (strategies.Plan, error) { return strategies.Plan{}, errors.New("disk full") }, "disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			var r recorder
			RunReplication(&r, func() strategies.Replication { return tc.plan }, "", nil)
			if !strings.Contains(r.text.String(), tc.want) {
				t.Errorf("%s\nwant %q", r.text.String(), tc.want)
			}
		})
	}
	var r recorder
	RunReplication(&r, func() strategies.Replication { return strategies.PlanFunc(async.Plan) }, `{"a":1}`, nil)
	if want := "it does not start: refused: this strategy has no settings"; !strings.Contains(r.text.String(), want) {
		t.Errorf("%s\nwant %q", r.text.String(), want)
	}
}

func TestSlowPlansFail(t *testing.T) {
	report := CheckReplication(t.Context(), ReplicationConfig{Start: func(context.Context) (strategies.Replication, func(), error) {
		return late{}, func() {}, nil
	}})
	if !report.Failed() || len(report.Points) != enough {
		t.Errorf("%+v", report)
	}
}

// late never answers in time.
type late struct{}

func (late) Plan(ctx context.Context, _ strategies.PlanInput) (strategies.Plan, error) {
	<-ctx.Done()
	return strategies.Plan{}, ctx.Err()
}

// engine is what several stores keep their records in.
type engine struct {
	mu   sync.Mutex
	have map[string]*kept
}

type kept struct {
	record   *strategies.Record
	promised uint64
	revision uint64
}

func (k *kept) standing() strategies.Standing {
	s := strategies.Standing{Promised: k.promised}
	if r := k.record; r != nil {
		s.Known, s.Ballot, s.Version, s.Deleted = true, r.Ballot, r.Version, r.Deleted
	}
	return s
}

// memory is a store in memory, good but for one bug.
type memory struct {
	strategies.PlanFunc
	*engine
	bug string
}

func newMemory(bug string) func() strategies.Replication {
	e := &engine{have: map[string]*kept{}}
	starts := 0
	return func() strategies.Replication {
		starts++
		if bug == "forgets all" && starts == 3 {
			e = &engine{have: map[string]*kept{}}
		}
		if bug == "forgets promises" && starts == 3 {
			for _, k := range e.have {
				k.promised = 0
			}
		}
		if bug == "an engine each" {
			e = &engine{have: map[string]*kept{}}
		}
		return &memory{PlanFunc: async.Plan, engine: e, bug: bug}
	}
}

func (m *memory) entry(key string) *kept {
	k := m.have[key]
	if k == nil {
		k = &kept{}
		m.have[key] = k
	}
	return k
}

// judge is Standing.Judge with the bug.
func (m *memory) judge(k *kept, r strategies.Record) (strategies.Outcome, bool) {
	s := k.standing()
	switch {
	case m.bug == "last writer wins":
		return strategies.Kept, true
	case m.bug == "no promises":
		s.Promised = 0
	case m.bug == "deleted comes back":
		s.Deleted = false
	case m.bug == "the same is stale" && s.Known && s.Ballot == r.Ballot && s.Version == r.Version:
		return strategies.Stale, false
	case m.bug == "versions alone" && s.Known:
		s.Ballot = r.Ballot
	}
	return s.Judge(r)
}

func (m *memory) Put(ctx context.Context, records []strategies.Record) ([]strategies.Written, error) {
	written := make([]strategies.Written, len(records))
	for i, r := range records {
		m.mu.Lock()
		k := m.entry(r.Key)
		was, promised := k.record, k.promised
		outcome, changes := m.judge(k, r)
		if m.bug == "reads and writes apart" && strings.Contains(r.Key, "/claim/") {
			m.mu.Unlock()
			<-time.After(time.Millisecond)
			m.mu.Lock()
			k.record, k.promised = was, max(promised, k.promised)
		}
		if changes {
			r.Contents = slices.Clone(r.Contents)
			k.record, k.revision = &r, k.revision+1
		}
		written[i] = strategies.Written{Outcome: outcome, Standing: k.standing(), Revision: k.revision}
		m.mu.Unlock()
	}
	if m.bug == "answers out of order" {
		slices.Reverse(written)
	}
	if m.bug == "an answer less" {
		written = written[1:]
	}
	return written, ctx.Err()
}

func (m *memory) Get(_ context.Context, queries []strategies.Query) ([]strategies.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	answers := make([]strategies.Answer, len(queries))
	for i, q := range queries {
		k := m.entry(q.Key)
		if m.bug != "promises nothing" {
			k.promised = max(k.promised, q.Ballot)
		}
		answers[i] = strategies.Answer{Promised: k.promised, Revision: k.revision}
		if r := k.record; r != nil && (m.bug == "keeps what is over" || r.Until > time.Now().Unix()) {
			answers[i].Found, answers[i].Record = true, *r
			if m.bug == "cuts contents" {
				answers[i].Record.Contents = r.Contents[:min(len(r.Contents), 1<<16)]
			}
		}
	}
	return answers, nil
}

func (m *memory) List(_ context.Context, each func(strategies.Head) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.have {
		if k.record == nil || k.record.Until <= time.Now().Unix() {
			continue
		}
		head := k.record.Head()
		if m.bug == "no digests" {
			head.Digest = [32]byte{}
		}
		for range map[bool]int{true: 2, false: 1}[m.bug == "lists twice"] {
			if err := each(head); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) Inspect(context.Context) ([]strategies.Finding, error) {
	if m.bug == "finds nothing" {
		return nil, nil
	}
	return []strategies.Finding{{Good: true, Subject: "memory", Text: "there is some"}}, nil
}

func TestGoodStorePasses(t *testing.T) { RunReplication(t, newMemory(""), "", nil) }

// TestBadStoresFail: every bug is found, by the point that is meant for it.
func TestBadStoresFail(t *testing.T) {
	for bug, want := range map[string]string{
		"last writer wins":       `records are ordered: put of`,
		"versions alone":         `(ballot 7, version 1, 7 bytes) comes to "stale" instead of "kept"`,
		"the same is stale":      `comes to "stale" instead of "kept"`,
		"no promises":            `a promise refuses lower ballots: put of`,
		"promises nothing":       `ballot 9 was to be promised and 0 is`,
		"deleted comes back":     `comes to "kept" instead of "deleted"`,
		"keeps what is over":     `a record is found after its lifetime`,
		"reads and writes apart": `promise and read, and judge and write, are each one step`,
		"answers out of order":   `record 3 of a batch comes to "kept" instead of "stale"`,
		"an answer less":         `store said what became of 0 records instead of 1`,
		"cuts contents":          `65536 bytes) instead of`,
		"lists twice":            `is listed 2 times`,
		"no digests":             `is listed as`,
		"finds nothing":          `inspect: 0 findings`,
		"an engine each":         `process 2 does not find`,
		"forgets all":            `was acknowledged, and after SIGKILL found is false`,
		"forgets promises":       `a promise is forgotten after SIGKILL`,
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			var r recorder
			RunReplication(&r, newMemory(bug), "", nil)
			if !strings.Contains(r.text.String(), want) {
				t.Errorf("%.4000s\nwant %q", r.text.String(), want)
			}
		})
	}
}

// What the SDK refuses never reaches a store.
func TestRequestsAreBounded(t *testing.T) {
	started, end, err := OverTheWire(newMemory(""), "")(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	store := started.(plugins.ReplicationClient)
	good := strategies.Record{Key: "a/b", Service: "tools", Owner: "gw-1", Version: 1, Until: 1 << 40}
	many := make([]strategies.Record, strategies.MaxBatch+1)
	for i := range many {
		many[i] = good
		many[i].Key = fmt.Sprint("k", i)
	}
	bad := func(change func(*strategies.Record)) []strategies.Record {
		r := good
		change(&r)
		return []strategies.Record{r}
	}
	for name, records := range map[string][]strategies.Record{
		"twice":          {good, good},
		"too many":       many,
		"too long":       {good, {Key: "c", Service: "tools", Owner: "gw-1", Until: 1, Contents: make([]byte, strategies.MaxContents)}, {Key: "d", Service: "tools", Owner: "gw-1", Until: 1, Contents: []byte("x")}},
		"no key":         bad(func(r *strategies.Record) { r.Key = "a//b" }),
		"no owner":       bad(func(r *strategies.Record) { r.Owner = "" }),
		"no end":         bad(func(r *strategies.Record) { r.Until = 0 }),
		"a full deleted": bad(func(r *strategies.Record) { r.Deleted, r.Contents = true, []byte("x") }),
	} {
		if _, err := store.Put(t.Context(), records); err == nil || !strings.Contains(err.Error(), "InvalidArgument") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := store.Put(t.Context(), []strategies.Record{good}); err != nil {
		t.Error(err)
	}
	if _, err := store.Get(t.Context(), []strategies.Query{{Key: "a", Ballot: 1}}); err == nil {
		t.Error("a promise without an end is asked for")
	}
	if _, err := store.Configure(t.Context(), strategies.Settings{}); !errors.Is(err, strategies.ErrRefused) {
		t.Errorf("settings of nobody: %v", err)
	}
}
