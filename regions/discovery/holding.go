package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

// Bounds of what a source may say, in bytes.
const (
	maxName  = 256 // an id, a region, a version, a group, a part of an identity
	maxURL   = 2048
	maxSaid  = 200
	maxCause = 300
)

// claim is one source's word for one URL.
type claim struct {
	regions.Proposal
	held    time.Time // since when it is held here
	left    time.Time // since when answers leave it out; zero while they name it
	disk    bool      // not named since the start
	refused bool      // the last join did not use it
	renamed bool      // its source called it otherwise; until the node has the new id
	doomed  bool      // on its way in or out: no room yet, or expired
}

// holding is what one source holds, and how it is.
type holding struct {
	id      ID
	claims  []claim            // by URL, neither URL nor id twice
	last    []regions.Proposal // the last good answer as it came
	read    bool               // last is all taken in, so that the same answer again is no news
	refused []Conflict         // the first maxConflicts of what in that answer is no claim
	refusal int                // how many there are
	over    int                // nodes of it for which there was no room
	loose   int                // claims that it does not name

	heard   bool // it has given a good answer
	some    bool // one that was not empty
	whole   bool // one that was not empty and had no dissent, or removed
	removes bool // one that removed

	answered, good                 time.Time
	stale                          bool
	staleSince                     time.Time
	cause                          string
	answers, errors, disagreements uint64
	voices                         []Voice
	dissent                        string // who dissents
}

// names reports that a fresh answer of h names c.
func (h *holding) names(c *claim) bool { return !h.stale && c.left.IsZero() && !c.disk }

var errEmpty = errors.New("the answer is empty")

// listen takes in everything of an answer but its nodes.
func (h *holding) listen(at time.Time, a Answer) (news []News) {
	h.answers++
	h.answered = at
	h.voices = a.Voices[:min(len(a.Voices), MaxVoices)]
	for i := range h.voices {
		h.voices[i].Said = clip(h.voices[i].Said, maxSaid)
	}
	news = h.hearDissent(a.Err == nil || a.Disputed)
	err := a.Err
	if err == nil && len(a.Nodes) == 0 && !a.Removes && len(h.claims) > 0 {
		err = errEmpty
	}
	if err == nil {
		h.good = at
		h.heard = true
		h.some = h.some || len(a.Nodes) > 0
		h.removes = h.removes || a.Removes
		h.whole = h.whole || a.Removes || len(a.Nodes) > 0 && h.dissent == ""
		if h.stale && h.answers > 1 {
			news = append(news, News{What: "source is fresh again", Source: h.id.Name, Cause: fmt.Sprintf("it was stale for %s", at.Sub(h.staleSince))})
		}
		h.stale, h.staleSince, h.cause = false, time.Time{}, ""
		return news
	}
	h.errors++
	if !h.stale || h.errors == 1 && h.good.IsZero() {
		news = append(news, News{Bad: true, What: "source is stale", Source: h.id.Name, Cause: clip(err.Error(), maxCause)})
	}
	if !h.stale {
		h.stale, h.staleSince = true, at
	}
	h.cause = clip(err.Error(), maxCause)
	return news
}

// hearDissent counts a disputed answer, and tells when other voices dissent than before. Where nothing was
// learned at all, voices that say so do not contradict anybody.
func (h *holding) hearDissent(counts bool) []News {
	who, said := "", ""
	for _, v := range h.voices {
		if !v.Agree {
			who += v.Who + "\n"
			said += fmt.Sprintf("%s: %s; ", v.Who, v.Said)
		}
	}
	if who != "" && counts {
		h.disagreements++
	}
	before := h.dissent
	h.dissent = who
	switch who {
	case before:
		return nil
	case "":
		return []News{{What: "all agree again", Source: h.id.Name}}
	}
	return []News{{Bad: true, What: "not all agree", Source: h.id.Name, Cause: clip(said[:len(said)-2], maxCause)}}
}

// learn takes in the nodes of a good answer, and reports whether that can make a difference.
func (h *holding) learn(at time.Time, a Answer, room int, j *joiner) bool {
	if h.read && slices.Equal(h.last, a.Nodes) && (h.loose == 0 || !a.Removes) {
		return false
	}
	h.last, h.refused, h.refusal, h.over = a.Nodes, nil, 0, 0
	named := h.admissible(a.Nodes, j)
	h.claims = h.merged(at, named, a.Removes, room, j)
	h.count()
	h.read = h.over == 0
	return true
}

// count brings loose up to date.
func (h *holding) count() {
	h.loose = 0
	for i := range h.claims {
		if unnamed(&h.claims[i]) {
			h.loose++
		}
	}
}

// admissible returns the valid nodes by URL, with neither URL nor id twice. Where one is twice, what is held stays.
// j.ids then holds the ids.
func (h *holding) admissible(nodes []regions.Proposal, j *joiner) []regions.Proposal {
	in := make([]regions.Proposal, 0, len(nodes))
	for _, p := range nodes {
		if err := check(p); err != nil {
			h.refuse(p, err.Error())
			continue
		}
		p.Weight = cmp.Or(p.Weight, 1)
		in = append(in, p)
	}
	if !slices.IsSortedFunc(in, byURLThenID) {
		slices.SortStableFunc(in, byURLThenID)
	}
	in = h.oncePerURL(in)
	clear(j.ids)
	for i := range in {
		if h.holds(&in[i]) {
			j.ids[in[i].ID] = i
		}
	}
	out := in[:0]
	for i := range in {
		if other, taken := j.ids[in[i].ID]; taken && other != i {
			h.refuse(in[i], "the same answer gives this id to another URL")
			continue
		}
		j.ids[in[i].ID] = i
		out = append(out, in[i])
	}
	return out
}

func byURLThenID(a, b regions.Proposal) int {
	return cmp.Or(cmp.Compare(a.URL, b.URL), cmp.Compare(a.ID, b.ID))
}

func (h *holding) oncePerURL(in []regions.Proposal) []regions.Proposal {
	out := in[:0]
	for from := 0; from < len(in); {
		to, pick := from+1, from
		for ; to < len(in) && in[to].URL == in[from].URL; to++ {
			if h.holds(&in[to]) && !h.holds(&in[pick]) {
				pick = to
			}
		}
		chosen := in[pick]
		for i := from; i < to; i++ {
			if i != pick {
				h.refuse(in[i], fmt.Sprintf("the same answer names this URL as %q", chosen.ID))
			}
		}
		out = append(out, chosen)
		from = to
	}
	return out
}

// holds reports that p's URL is held by p's id.
func (h *holding) holds(p *regions.Proposal) bool {
	i, ok := slices.BinarySearchFunc(h.claims, p.URL, func(c claim, url string) int { return cmp.Compare(c.URL, url) })
	return ok && h.claims[i].ID == p.ID
}

// merged returns the claims after an answer that names the given nodes. j.ids holds their ids.
func (h *holding) merged(at time.Time, named []regions.Proposal, removes bool, room int, j *joiner) []claim {
	out := make([]claim, 0, max(len(named), len(h.claims)))
	for o, n := 0, 0; o < len(h.claims) || n < len(named); {
		switch {
		case n == len(named) || o < len(h.claims) && h.claims[o].URL < named[n].URL:
			c := h.claims[o]
			o++
			if _, moved := j.ids[c.ID]; removes || moved || c.refused {
				continue
			}
			if c.left.IsZero() {
				c.left = at
			}
			out = append(out, c)
			room--
		case o == len(h.claims) || named[n].URL < h.claims[o].URL:
			out = append(out, claim{Proposal: named[n], held: at, doomed: true})
			n++
		default:
			before := h.claims[o]
			out = append(out, claim{Proposal: named[n], held: before.held, renamed: before.renamed || before.ID != named[n].ID})
			o, n, room = o+1, n+1, room-1
		}
	}
	return h.fit(out, room)
}

// fit lets in as many newcomers as there is room for: what is held comes first.
func (h *holding) fit(all []claim, room int) []claim {
	for i := range all {
		if all[i].doomed && room > 0 {
			all[i].doomed = false
			room--
		} else if all[i].doomed {
			h.over++
			h.refuse(all[i].Proposal, noRoom)
		}
	}
	if h.over == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(c claim) bool { return c.doomed })
}

// add takes in claims of elsewhere; what is held already, by URL or id, stays as it is.
func (h *holding) add(claims []claim) {
	ids := make(map[regions.NodeID]bool, len(h.claims)+len(claims))
	urls := make(map[string]bool, len(h.claims)+len(claims))
	all := append(slices.Clone(h.claims), claims...)
	h.claims = slices.DeleteFunc(all, func(c claim) bool {
		twice := ids[c.ID] || urls[c.URL]
		ids[c.ID], urls[c.URL] = true, true
		return twice
	})
	slices.SortFunc(h.claims, func(a, b claim) int { return cmp.Compare(a.URL, b.URL) })
	h.count()
}

// dropDoomed lets the doomed claims go.
func (h *holding) dropDoomed() {
	n := len(h.claims)
	h.claims = slices.DeleteFunc(h.claims, func(c claim) bool { return c.doomed })
	if len(h.claims) < n {
		h.count()
		h.read = false // the same answer may name them again
	}
}

func (h *holding) refuse(p regions.Proposal, cause string) {
	h.refusal++
	if len(h.refused) < maxConflicts {
		h.refused = append(h.refused, conflict(h.id.Name, p, cause))
	}
}

// check returns what is wrong with a proposal.
func check(p regions.Proposal) error {
	for _, s := range []string{string(p.ID), p.Region, p.Version, p.Group, p.Identity.TLSName, p.Identity.SPKI} {
		if len(s) > maxName {
			return fmt.Errorf("more than %d bytes in one of its fields", maxName)
		}
	}
	if len(p.URL) > maxURL || len(p.Identity.SPIFFE) > maxURL {
		return fmt.Errorf("a URL of more than %d bytes", maxURL)
	}
	return regions.CheckProposal(p)
}
