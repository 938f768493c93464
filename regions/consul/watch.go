package consul

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// question is one service in one datacenter, and how patiently it is asked for.
type question struct {
	client                   *Client
	service, datacenter, tag string
	wait, maxStale, hold     time.Duration
	least, most              time.Duration // backoff
	random                   func() float64
}

// watch asks one question again and again and turns what is named into items. Its state has one user at a time: run.
type watch[T comparable] struct {
	question
	convert func(*instance) (T, error)

	memory  memory
	items   map[string]T // the last good form of everything that memory knows
	pace    pace
	index   uint64 // to wait beyond; 0 asks for an answer at once
	failing bool   // the last thing emitted was an error
}

// outcome is what one answer, or the lack of one, came to.
type outcome[T any] struct {
	items   []T
	removes bool
	err     error
	said    string
	took    time.Duration
}

// named is an instance that an answer names.
type named[T any] struct {
	id   string
	item T
}

// run asks until ctx ends.
func (w *watch[T]) run(ctx context.Context, emit func(outcome[T])) {
	for ctx.Err() == nil {
		pause(ctx, jittered(w.once(ctx, emit), w.random()))
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// once asks once and returns the wait until the next question.
func (w *watch[T]) once(ctx context.Context, emit func(outcome[T])) (wait time.Duration) {
	q := w.options()
	began := time.Now()
	var list []instance
	meta, err := w.client.get(ctx, "/v1/health/service/"+w.service, &list, q)
	took := time.Since(began)
	switch {
	case ctx.Err() != nil:
		return 0
	case err != nil:
		emit(w.failed(err, took))
		wait, w.pace = w.pace.failed(w.least, w.most)
		return wait
	}
	if meta.QueryBackend == api.QueryBackendStreaming {
		// It says neither of leader nor of age, so it only tells that there may be news; a plain read says all.
		w.index = 0
		wait, w.pace = w.pace.news(0)
		return wait
	}
	blocked := q.WaitIndex > 0 && meta.RequestTime > w.wait/2
	if w.quiet(meta) && !blocked {
		wait, w.pace = w.pace.silent(false)
		return wait
	}
	stale := w.take(meta, list, took, emit)
	switch {
	case stale:
		w.index = 0
		wait, w.pace = w.pace.failed(w.least, w.most)
	case meta.LastIndex == 0 || meta.LastIndex == q.WaitIndex:
		wait, w.pace = w.pace.silent(blocked)
	default:
		wait, w.pace = w.pace.news(time.Since(began) - meta.RequestTime)
	}
	return wait
}

// options ask any server for what it has. An agent of Consul 1.10 and later answers a question that waits from a view of
// its own, the streaming backend, whose answers say neither that there is a leader nor how old they are
// (github.com/hashicorp/consul/issues/9776), unless it is to sort by nearness, which only servers can.
func (w *watch[T]) options() *api.QueryOptions {
	q := &api.QueryOptions{Datacenter: w.datacenter, AllowStale: true, Near: "_agent", WaitIndex: w.index}
	if w.index > 0 {
		q.WaitTime = w.wait
	}
	return q
}

// failed is the outcome of a question without an answer. The next is asked without waiting for news, so that one that
// is answered shows at once that all is well.
func (w *watch[T]) failed(err error, took time.Duration) outcome[T] {
	w.index, w.failing = 0, true
	return outcome[T]{err: w.wrap(err), said: err.Error(), took: took}
}

func (q *question) wrap(err error) error {
	return fmt.Errorf("consul: %s: service %q: %w", q.who(), q.service, err)
}

// who names the party asked.
func (q *question) who() string {
	if q.datacenter == "" {
		return q.client.cfg.Address
	}
	return q.datacenter + " by " + q.client.cfg.Address
}

// quiet reports that an answer says what the last one said: an unchanged index is no news.
func (w *watch[T]) quiet(meta *api.QueryMeta) bool {
	return meta.LastIndex != 0 && meta.LastIndex == w.memory.seen && !w.failing
}

// take judges an answer, emits it and remembers it. It reports that the answer is stale.
func (w *watch[T]) take(meta *api.QueryMeta, list []instance, took time.Duration, emit func(outcome[T])) (stale bool) {
	if w.index = meta.LastIndex; meta.LastIndex < w.memory.seen {
		w.index = 0 // developer.hashicorp.com/consul/api-docs/features/blocking: "Reset the index if it goes backwards"
	}
	all, said := w.read(list)
	ids := make([]string, len(all))
	items := make([]T, len(all))
	for i, n := range all {
		ids[i], items[i] = n.id, n.item
	}
	v := judge(w.memory, reading{
		index: meta.LastIndex, ids: ids, at: time.Now(), whole: !meta.ResultsFilteredByACLs,
		fresh: meta.KnownLeader && meta.LastContact <= w.maxStale,
	}, w.hold)
	if v.removes {
		for _, id := range v.next.unsure {
			items = append(items, w.items[id])
		}
	}
	if meta.ResultsFilteredByACLs {
		said += ", the token sees only a part"
	}
	if n := len(v.next.unsure); n > 0 {
		said = fmt.Sprintf("%d kept that it does not name, %s", n, said)
	}
	out := outcome[T]{items: items, removes: v.removes, said: fmt.Sprintf("index %d: %s", meta.LastIndex, said), took: took}
	if v.err == nil || w.differ(all) {
		emit(out) // also before an error: newcomers may always be proposed
	}
	if v.err != nil {
		emit(outcome[T]{err: w.wrap(w.doubt(v.err, len(ids), meta)), said: out.said, took: took})
	}
	w.remember(v, all)
	return errors.Is(v.err, ErrStale)
}

// doubt says why an answer is not taken, and what a token has to do with it.
func (w *watch[T]) doubt(cause error, named int, meta *api.QueryMeta) error {
	hint := ""
	if meta.ResultsFilteredByACLs {
		hint = "; the token sees only a part"
	}
	return fmt.Errorf("%w (%d named, %d known%s)", cause, named, len(w.memory.known), hint)
}

// differ reports that an answer names what was not known in this form.
func (w *watch[T]) differ(all []named[T]) bool {
	return slices.ContainsFunc(all, func(n named[T]) bool {
		old, known := w.items[n.id]
		return !known || old != n.item
	})
}

// remember keeps what the verdict leaves, and the last good form of all that is known.
func (w *watch[T]) remember(v verdict, all []named[T]) {
	w.memory, w.failing = v.next, v.err != nil
	old := w.items
	if v.removes || len(v.next.known) == len(all) || len(old)+len(all) > 2*maxKnown {
		w.items = make(map[string]T, len(all))
		for _, id := range v.next.unsure {
			w.items[id] = old[id]
		}
	}
	for _, n := range all {
		w.items[n.id] = n.item
	}
}

// read makes items of instances, sorted by id, and says in a line what there was. One that cannot be an item disturbs no
// other; if it was one before, it stays what it was.
func (w *watch[T]) read(list []instance) (all []named[T], said string) {
	all = make([]named[T], 0, len(list))
	var t tally
	for i := range list {
		in := &list[i]
		if w.tag != "" && !in.hasTag(w.tag) {
			t.untagged++
			continue
		}
		t.statuses[in.status()]++
		id := in.id()
		item, err := w.convert(in)
		if err != nil {
			t.refuse(id, err.Error())
			old, known := w.items[id]
			if !known {
				continue
			}
			item = old
		}
		all = append(all, named[T]{id, item})
	}
	slices.SortStableFunc(all, func(a, b named[T]) int { return strings.Compare(a.id, b.id) })
	all = slices.CompactFunc(all, func(a, b named[T]) bool {
		if a.id == b.id {
			t.refuse(b.id, "its id is given twice")
		}
		return a.id == b.id
	})
	return all, t.line(w.tag)
}

// tally counts what an answer holds, for operators.
type tally struct {
	statuses [critical + 1]int
	untagged int
	refused  int
	first    string // refused
}

func (t *tally) refuse(id, why string) {
	if t.refused++; t.first == "" {
		t.first = id + ": " + why
	}
}

func (t *tally) line(tag string) string {
	s := fmt.Sprintf("%d passing, %d warning, %d critical", t.statuses[passing], t.statuses[warning], t.statuses[critical])
	if t.untagged > 0 {
		s += fmt.Sprintf(", %d without tag %s", t.untagged, tag)
	}
	if t.refused > 0 {
		s += fmt.Sprintf(", %d refused: %s", t.refused, t.first)
	}
	return line(s, maxSaid)
}

// maxSaid bounds a line for operators, in bytes, with room for an index before it.
const maxSaid = 170
