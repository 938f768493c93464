package discovery

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

// Names that no source may have: who holds the nodes that no configured source has spoken of yet.
const (
	// Disk holds nodes of a set kept on disk whose sources are not configured any more.
	Disk = "disk"
	// Retired holds the nodes of sources that left the configuration until those that came for them have spoken.
	Retired = "retired"
)

// Defaults of KeeperConfig.
const (
	DefaultMaxNodes = 10_000
	DefaultBound    = 10 * time.Minute
)

// KeeperConfig bounds a Keeper. Zero values stand for the defaults.
type KeeperConfig struct {
	MaxNodes int           // of one service, over all sources; newcomers beyond are refused. Default 10,000
	Bound    time.Duration // how long a node that no fresh answer names may fail verification. Default 10 min
}

// ID names a source. Two sources of one name and another key are different ones: the second replaces the first.
type ID struct {
	Name string // for people and for provenance; unique in a service, stable over restarts
	Key  string // equal if and only if the source is configured equally
}

// Outcome is what a call changed.
type Outcome struct {
	Changed bool   // Nodes differs
	News    []News // worth a line in the log, each once per change
}

// Keeper holds the joined set of one service's proposed nodes. It has no clock: times are the caller's, and must not
// run backwards. It is not safe for concurrent use.
//
// The rules, by which a lying, failing or silent source can add candidates for verification but lose nothing:
//   - An answer's nodes join. Those that it leaves out stay, unless it says that its absences are deregistrations.
//     Naming an id at another URL, or a URL by another id, replaces what the same source said before.
//   - A failed answer changes nothing but the source's staleness; so does an empty one that does not remove, from a
//     source that holds nodes.
//   - One URL is one node, whoever names it; it leaves when nobody holds it any more. It is described by the first
//     source, in configured order, whose last answer names it. Its id stays as long as anybody calls the URL so:
//     another id would be another node, that had to be verified before it could serve.
//   - A named identity holds against none. Of two different ones the one in force stays, else the first in order
//     counts, and the other source's claim is refused until they agree.
//   - An id belongs to the URL that has it, until nobody gives it that id any more; other claims on it are refused.
//   - A node that no fresh answer names leaves when it fails verification for the bound.
type Keeper struct {
	cfg     KeeperConfig
	sources []*holding // in configured order
	disk    holding
	retired holding
	awaited []string  // who has to speak before the retired leave
	since   time.Time // when a source came or left last

	byURL     []regions.Proposal // the set, by URL
	nodes     []regions.Proposal // the set, by id; never written to again
	conflicts []Conflict
	refused   int // claims refused, of which conflicts shows the first
	over      int // of these, for want of room
	join      joiner
}

// NewKeeper returns a Keeper that holds nothing and has no sources.
func NewKeeper(cfg KeeperConfig) *Keeper {
	cfg.MaxNodes = cmp.Or(cfg.MaxNodes, DefaultMaxNodes)
	cfg.Bound = cmp.Or(cfg.Bound, DefaultBound)
	k := &Keeper{cfg: cfg, disk: holding{id: ID{Name: Disk}}, retired: holding{id: ID{Name: Retired}}}
	k.join.ids = make(map[regions.NodeID]int)
	for _, h := range []*holding{&k.disk, &k.retired} {
		h.stale, h.cause = true, "no configured source"
	}
	return k
}

// Nodes returns the set, by id, with neither id nor URL twice. The slice is shared: nobody may write to it.
func (k *Keeper) Nodes() []regions.Proposal { return k.nodes }

// Configure replaces the sources; the order decides who describes a node that several name. Names are unique. What
// only sources held that are gone is deregistered: at once when no new source came with the same call, else when all
// that came have given a good answer that is not empty and from which no voice dissents, or that removes; an answer
// with dissent counts after the bound, from when a source came or left last. A reload while half of the world is away
// must not cost the other half.
func (k *Keeper) Configure(at time.Time, sources []ID) Outcome {
	before := k.sources
	if len(k.retired.claims) == 0 {
		k.awaited = nil // nobody waits for them
	}
	k.sources = make([]*holding, 0, len(sources))
	for _, id := range sources {
		i := slices.IndexFunc(before, func(h *holding) bool { return h.id == id })
		if i >= 0 {
			k.sources = append(k.sources, before[i])
			continue
		}
		k.sources = append(k.sources, &holding{id: id, stale: true, staleSince: at, cause: "no answer yet"})
		k.awaited, k.since = append(k.awaited, id.Name), at
	}
	for _, h := range before {
		if !slices.Contains(k.sources, h) {
			k.retire(at, h)
		}
	}
	return k.rejoin(at, News{Cause: "its source left the configuration"})
}

// retire keeps what h holds until its successors have spoken.
func (k *Keeper) retire(at time.Time, h *holding) {
	k.since = at
	var kept []claim
	for i := range h.claims {
		if c := &h.claims[i]; !c.refused {
			if p, ok := k.at(c.URL); ok {
				kept = append(kept, claim{Proposal: p, held: c.held, left: at})
			}
		}
	}
	k.retired.add(kept)
}

// at returns the node of a URL.
func (k *Keeper) at(url string) (regions.Proposal, bool) {
	i, ok := slices.BinarySearchFunc(k.byURL, url, func(p regions.Proposal, url string) int { return cmp.Compare(p.URL, url) })
	if !ok {
		return regions.Proposal{}, false
	}
	return k.byURL[i], true
}

// Restored is a node as it was kept on disk.
type Restored struct {
	regions.Proposal
	Sources []string // the names of those who held it
}

// Restore takes in a set from disk; it is called once, after Configure and before the first answer. A node goes on
// being held by its sources, as if they had not answered since. One whose sources are all gone is held as from disk
// until a source names its URL or its id, or every source has given an answer that removes.
func (k *Keeper) Restore(at time.Time, kept []Restored) Outcome {
	var orphans []claim
	of := make(map[string][]claim, len(k.sources))
	for _, r := range kept {
		if check(r.Proposal) != nil {
			continue
		}
		c, adopted := claim{Proposal: r.Proposal, held: at, disk: true}, false
		for _, h := range k.sources {
			if slices.Contains(r.Sources, h.id.Name) && !h.heard {
				of[h.id.Name], adopted = append(of[h.id.Name], c), true
			}
		}
		if !adopted {
			orphans = append(orphans, c)
		}
	}
	for _, h := range k.sources {
		h.add(of[h.id.Name])
	}
	k.disk.add(orphans)
	k.disk.staleSince = at
	for _, h := range k.sources {
		k.yield(h)
	}
	return k.rejoin(at, News{Cause: fromDisk})
}

// Take takes in what a source heard. Answers of sources that are not configured are ignored. The Keeper takes over
// the answer's slices.
func (k *Keeper) Take(at time.Time, source string, a Answer) Outcome {
	i := slices.IndexFunc(k.sources, func(h *holding) bool { return h.id.Name == source })
	if i < 0 {
		return Outcome{}
	}
	h := k.sources[i]
	news := h.listen(at, a)
	if h.stale || !h.learn(at, a, k.cfg.MaxNodes, &k.join) && !k.waiting() {
		return Outcome{News: news}
	}
	k.yield(h)
	cause := "its source names it no more"
	if !a.Removes {
		cause = "its source calls it otherwise, or by its id another"
	}
	o := k.rejoin(at, News{Source: source, Cause: cause})
	o.News = append(news, o.News...)
	return o
}

// waiting reports that an answer that says nothing new may still end a wait.
func (k *Keeper) waiting() bool { return len(k.disk.claims) > 0 || len(k.retired.claims) > 0 }

// yield has those that hold without being configured give way to what h names.
func (k *Keeper) yield(h *holding) {
	if !k.waiting() {
		return
	}
	urls := make(map[string]*claim, len(h.claims))
	ids := make(map[regions.NodeID]bool, len(h.claims))
	for i := range h.claims {
		if c := &h.claims[i]; c.left.IsZero() && !c.disk {
			urls[c.URL], ids[c.ID] = c, true
		}
	}
	for _, waiting := range []*holding{&k.disk, &k.retired} {
		waiting.claims = slices.DeleteFunc(waiting.claims, func(old claim) bool {
			c := urls[old.URL]
			if c != nil && c.ID != old.ID {
				c.renamed = true
			}
			return c != nil || ids[old.ID]
		})
	}
}

// settle ends the waits that are over.
func (k *Keeper) settle(at time.Time) {
	removing := func(h *holding) bool { return !h.removes }
	if !slices.ContainsFunc(k.sources, removing) {
		k.disk.claims = nil
	}
	k.awaited = slices.DeleteFunc(k.awaited, func(name string) bool {
		i := slices.IndexFunc(k.sources, func(h *holding) bool { return h.id.Name == name })
		return i < 0 || k.sources[i].whole || k.sources[i].some && at.Sub(k.since) >= k.cfg.Bound
	})
	if len(k.awaited) == 0 {
		k.retired.claims = nil
	}
}

// Expire lets nodes go that no fresh answer names and that have failed verification for the bound, and is to be
// called now and then. failing says whether a node fails and since when, the zero time for one that never verified;
// what it failed before it was held here does not count. It is only asked of nodes that no fresh answer names.
func (k *Keeper) Expire(now time.Time, failing func(regions.NodeID) (since time.Time, failing bool)) Outcome {
	all := k.all()
	k.join.each(all, func(url string, refs []ref) {
		p, ok := k.at(url)
		held := now
		for _, r := range refs {
			if all[r.rank].names(r.claim) {
				return
			}
			if r.claim.held.Before(held) {
				held = r.claim.held
			}
		}
		if !ok {
			return
		}
		since, bad := failing(p.ID)
		if since.Before(held) {
			since = held
		}
		if bad && now.Sub(since) > k.cfg.Bound {
			for _, r := range refs {
				r.claim.doomed = true
			}
		}
	})
	for _, h := range all {
		h.dropDoomed()
	}
	return k.rejoin(now, News{Cause: "it fails verification, and no fresh answer names it"})
}

// all returns everybody who holds nodes, in order of precedence.
func (k *Keeper) all() []*holding {
	return append(slices.Clone(k.sources), &k.retired, &k.disk)
}

// rejoin makes the set anew. why is told of the nodes that leave.
func (k *Keeper) rejoin(at time.Time, why News) Outcome {
	k.settle(at)
	next := k.join.run(k.all(), k.byURL, k.cfg.MaxNodes)
	o := Outcome{Changed: !slices.Equal(next, k.byURL)}
	o.News = slices.Concat(gone(k.byURL, next, why), came(k.byURL, next, why), k.quarrels())
	k.conflicts, k.refused, k.over = slices.Clone(k.join.conflicts), k.join.refused, k.join.over
	if o.Changed {
		k.byURL = slices.Clone(next)
		k.nodes = slices.Clone(next)
		slices.SortFunc(k.nodes, func(a, b regions.Proposal) int { return cmp.Compare(a.ID, b.ID) })
	}
	return o
}
