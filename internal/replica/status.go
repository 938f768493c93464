package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// State says how far the copies of a record are.
type State string

// The states of a record, from best to worst.
const (
	Synced  State = "synced"  // every place has it
	Syncing State = "syncing" // a place that came or came back is not compared yet
	Pending State = "pending" // a place has not confirmed it yet
	Failed  State = "failed"  // a place does not take it, or nobody has it for longer than the plan allows
)

// Status is what is known of a record here.
type Status struct {
	Key
	Service, Owner  string
	Ballot, Version uint64
	Deleted         bool
	Until           int64
	Bytes           int
	Promised        uint64 // lower ballots are refused
	State           State  // of a copy: as far as this gateway is concerned
	Lag             time.Duration
	Places          []Held // of a record of this gateway
}

// Held is what a place has confirmed.
type Held struct {
	Gateway         string
	Up, Has         bool // Has: this state or a newer one
	Ballot, Version uint64
}

// Status returns what is known of a record; false: nothing is.
func (s *Store) Status(k Key) (Status, bool) {
	v, links := s.view.Load(), s.links()
	sl := s.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e := sl.entries[k]
	if e == nil || !e.held() || over(e.rec.Until, s.now()) {
		return Status{}, false
	}
	r := &e.rec
	st := Status{
		Key: k, Service: r.Service, Owner: r.Owner, Ballot: r.Ballot, Version: r.Version, Deleted: r.Deleted,
		Until: r.Until, Bytes: len(r.Contents), Promised: e.promised, State: s.stateOf(e, v, links),
	}
	at := e.since.Load()
	if e.grudge != nil && e.grudge.since != 0 {
		at = e.grudge.since
	}
	if at != 0 {
		st.Lag = max(time.Duration(s.lagged.now()-at), 1)
	}
	if r.Owner == s.cfg.Gateway {
		st.Places = s.held(e, v)
	}
	return st, true
}

// held lists the record's places, and whoever else has confirmed something.
func (s *Store) held(e *entry, v *view) []Held {
	names := slices.Clone(v.live.of(slotOf(e.rec.Key), s.cfg.Gateway, s.cfg.Region, s.cfg.planOf(e.rec.Service).Copies))
	for _, a := range e.acks {
		if !slices.Contains(names, a.gateway) {
			names = append(names, a.gateway)
		}
	}
	all := make([]Held, 0, len(names))
	for _, name := range names {
		h := Held{Gateway: name, Up: v.isUp(name), Has: e.acked(name, e.mark())}
		for _, a := range e.acks {
			if a.gateway == name {
				h.Ballot, h.Version = a.mark.ballot, a.mark.version
			}
		}
		all = append(all, h)
	}
	return all
}

// link is how copying to a gateway goes.
type link struct {
	failed, compared bool
	refused          int // records
}

func (s *Store) links() map[string]link {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]link, len(s.met))
	for name, a := range s.met {
		l := link{compared: a.compared}
		if x := s.senders[name]; x != nil {
			l.failed, l.refused = x.goes()
		}
		all[name] = l
	}
	return all
}

// stateOf judges a record by its places; its slot is locked.
func (s *Store) stateOf(e *entry, v *view, links map[string]link) State {
	if e.rec.Owner != s.cfg.Gateway {
		if s.caughtUp.Load() {
			return Synced
		}
		return Syncing
	}
	plan := s.cfg.planOf(e.rec.Service)
	to := v.live.of(slotOf(e.rec.Key), s.cfg.Gateway, s.cfg.Region, plan.Copies)
	state := Synced
	if len(to) == 0 && plan.Copies > 0 && len(v.places) > 0 && e.copies(e.mark()) == 0 {
		state = Pending // there are places, and none can be reached
	}
	for _, name := range to {
		if e.acked(name, e.mark()) {
			continue
		}
		switch l := links[name]; {
		case l.failed, e.refusedBy(name):
			return Failed
		case !l.compared && state == Synced:
			state = Syncing
		case l.compared:
			state = Pending
		}
	}
	if at := e.since.Load(); at != 0 && state != Synced && time.Duration(s.lagged.now()-at) > plan.Timeout*time.Duration(plan.Retries+1) {
		return Failed
	}
	return state
}

// Counts returns how many records of this gateway are in each state. It looks at all of them.
func (s *Store) Counts() map[State]int {
	v, links, now := s.view.Load(), s.links(), s.now()
	all := map[State]int{Synced: 0, Syncing: 0, Pending: 0, Failed: 0}
	for i := range s.slots {
		sl := &s.slots[i]
		sl.mu.Lock()
		for _, e := range sl.entries {
			if e.held() && e.rec.Owner == s.cfg.Gateway && !over(e.rec.Until, now) {
				all[s.stateOf(e, v, links)]++
			}
		}
		sl.mu.Unlock()
	}
	return all
}

// Usage is what the limits are about.
type Usage struct {
	Records int // of sessions that are not deleted
	Handles int
	Small   int   // deletions, and promises without a record
	Bytes   int64 // of contents
}

// Usage returns how much is here.
func (s *Store) Usage() Usage {
	return Usage{int(s.count.Load()), int(s.handles.Load()), int(s.small.Load()), s.bytes.Load()}
}

// CaughtUp reports whether this store has asked every place for what it should hold. It says nothing of other gateways.
func (s *Store) CaughtUp() bool { return s.caughtUp.Load() }

// Ready says why copies are not complete yet, one sentence each; none: they are.
func (s *Store) Ready() []string {
	var why []string
	if s.disk != nil && s.disk.full.Load() {
		why = append(why, "what is kept cannot be written to the disk")
	}
	if !s.caughtUp.Load() {
		why = append(why, "this gateway has not asked every other for the copies it should hold")
	}
	v, links := s.view.Load(), s.links()
	for _, p := range v.places {
		switch l := links[p.Gateway]; {
		case !p.Up:
		case l.failed:
			why = append(why, p.Gateway+" takes no copies")
		case l.refused > 0:
			why = append(why, fmt.Sprintf("%s does not take %d records", p.Gateway, l.refused))
		case !l.compared:
			why = append(why, "copies at "+p.Gateway+" are not compared yet; "+fmt.Sprint(s.queued(p.Gateway))+" records wait")
		}
	}
	if len(why) == 0 {
		why = s.anew(v)
	}
	return why
}

func (s *Store) queued(gateway string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.senders[gateway]; x != nil {
		return x.load()
	}
	return 0
}

// Report is what a comparison of all copies found.
type Report struct {
	Records     int // here
	Differences []Difference
	Silent      []string // places that cannot be asked, or did not answer
}

// Same reports whether every place was asked and no copies differ. Promises alone may.
func (r *Report) Same() bool {
	return len(r.Silent) == 0 && !slices.ContainsFunc(r.Differences, func(d Difference) bool { return d.Here+d.There > 0 })
}

// Verify compares what is here with every other place and changes nothing.
func (s *Store) Verify(ctx context.Context) (Report, error) { return s.judge(ctx, false) }

// Reconcile compares what is here with every other place, pulls and pushes what differs, and reports what it found.
func (s *Store) Reconcile(ctx context.Context) (Report, error) { return s.judge(ctx, true) }

func (s *Store) judge(ctx context.Context, repair bool) (Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	out := Report{Records: int(s.entries())}
	out.Differences, _ = s.compareAll(ctx, repair)
	for _, p := range s.view.Load().places {
		if !p.Up {
			out.Silent = append(out.Silent, p.Gateway)
		}
	}
	var failed error
	for _, d := range out.Differences {
		if d.Err != nil {
			out.Silent = append(out.Silent, d.Gateway)
			failed = errors.Join(failed, d.Err)
		}
	}
	if repair && failed == nil {
		failed = s.drain(ctx)
	}
	if failed != nil {
		return out, fmt.Errorf("replica: compare: %w", failed)
	}
	return out, nil
}
