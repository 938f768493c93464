package consul

import (
	"errors"
	"time"
)

// reading is what one answer comes to, as far as believing it goes.
type reading struct {
	index uint64    // X-Consul-Index; 0 when the server names none
	ids   []string  // of the instances named, sorted, each once
	fresh bool      // the server knows a leader and heard from it within the bound
	whole bool      // ACLs held nothing back
	at    time.Time // when the answer came
}

// memory is what earlier answers leave for judging the next. The zero value remembers nothing.
type memory struct {
	index uint64   // of the last answer that was taken; 0 before one
	seen  uint64   // of the last answer of any kind
	known []string // sorted: every instance named and not deregistered since
	// unsure are those of known whose absence is not believed, because they were first missed by an answer that is not.
	unsure []string
	failed bool // the last answer that was not stale was an error
	// doubt is since when nothing happened that makes absences less believable; it counts while there are any unsure.
	doubt time.Time
}

// verdict is what an answer may do.
type verdict struct {
	err error // why it is not taken as it is
	// removes says that absences are deregistrations, except those of next.unsure.
	removes bool
	next    memory
}

const (
	// fewMissing is how many instances may leave at once whatever their share.
	fewMissing = 2
	// maxKnown bounds a memory, against a server that never names the same twice.
	maxKnown = 200_000
)

// judge decides what an answer may do, given what is remembered. The rules:
//
//   - An answer is an error that is empty, that is stale, that loses most of what was sure (over half, and more than
//     fewMissing) at once, or, first of all or after an error, that misses as much of all that is known. What it names is
//     known from then on all the same: a source may always propose.
//   - Absences are deregistrations when the answer is good, ACLs held nothing back, and its index rose over that of the
//     last one taken. What any other answer misses is unsure, a stale one's apart, which says nothing of what is there.
//     What was known before the first answer is unsure too.
//   - An unsure instance is kept whatever later answers miss it, until a good one names it: then it is as good as any. So
//     a catalog that starts again from nothing is taken again as soon as it names half of what is known, its
//     deregistrations count again one by one, and nothing is lost that is only not registered again yet.
//   - It is forgotten when it stays missing for hold without an empty, a stale or a held back answer, without a falling
//     index and without others becoming unsure. The answer then is what is known, and itself removes nothing: who was
//     forgotten has until the next deregistration to be named again, and verification had hold to find out who is gone.
func judge(m memory, r reading, hold time.Duration) verdict {
	missing := minus(m.known, r.ids)
	lost := minus(missing, m.unsure)
	most := mostOf(len(lost), len(m.known)-len(m.unsure)) || (m.failed || m.index == 0) && mostOf(len(missing), len(m.known))
	v := verdict{next: m}
	v.next.seen = r.index
	v.next.known = union(m.known, r.ids, len(missing))
	upset := r.index < m.seen || !r.whole || !r.fresh || len(r.ids) == 0
	switch {
	case len(r.ids) == 0:
		v.err = ErrEmptied
	case !r.fresh:
		v.err = ErrStale
	case !m.doubt.IsZero() && !upset && len(lost) == 0 && r.at.Sub(m.doubt) >= hold:
		v.next = memory{index: r.index, seen: r.index, known: r.ids}
		return v
	case most && r.index < m.index:
		v.err = ErrBackwards
	case most:
		v.err = ErrShrunk
	}
	v.weigh(m, r, missing, lost)
	switch {
	case len(v.next.unsure) == 0:
		v.next.doubt = time.Time{}
	case upset, m.doubt.IsZero(), len(minus(v.next.unsure, m.unsure)) > 0:
		v.next.doubt = r.at
	}
	return v
}

func mostOf(part, whole int) bool { return part > fewMissing && 2*part > whole }

// weigh decides what the missing are, of which the lost were sure until now: deregistered, or unsure.
func (v *verdict) weigh(m memory, r reading, missing, lost []string) {
	switch {
	case v.err == nil && r.whole && m.index != 0 && r.index > m.index:
		v.removes = true
		v.next.unsure = minus(missing, lost)
		v.next.known = union(v.next.unsure, r.ids, len(v.next.unsure))
	case v.err == nil:
		v.next.unsure = missing
	case !errors.Is(v.err, ErrStale):
		v.next.unsure, v.next.failed = union(m.unsure, lost, len(m.unsure)), true
	}
	if v.err == nil {
		v.next.index, v.next.failed = r.index, false
	}
}

// minus returns what is in a and not in b. Both are sorted, and so is the result.
func minus(a, b []string) (rest []string) {
	i := 0
	for _, id := range a {
		for i < len(b) && b[i] < id {
			i++
		}
		if i == len(b) || b[i] != id {
			rest = append(rest, id)
		}
	}
	return rest
}

// union joins two sorted sets, of which the first has missing that are not in the second. One that grew too large stays
// the first.
func union(known, ids []string, missing int) []string {
	switch {
	case missing == 0:
		return ids
	case missing+len(ids) > maxKnown:
		return known
	}
	all := make([]string, 0, missing+len(ids))
	i := 0
	for _, id := range ids {
		for ; i < len(known) && known[i] <= id; i++ {
			if known[i] != id {
				all = append(all, known[i])
			}
		}
		all = append(all, id)
	}
	return append(all, known[i:]...)
}
