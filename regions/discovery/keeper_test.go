package discovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

// script drives a Keeper by words, so that a rule's test is its table:
//
//	a: n1 n2=h9/5#x   a names nodes; n2 at http://h9/mcp with weight 5 and SPIFFE ID x. Without =, the URL is of the id
//	a! n1             the same, and what is left out is deregistered
//	a~ n1             the same as a:, with a voice that dissents
//	a?                a hears nothing
//	= a b/2           the sources are a and, with key 2, b
//	disk n1@a n2@     from disk, with the sources that held them
//	+10m              time passes
//	expire n1         nodes whose check is due go; n1 fails since the beginning, or since +5m with n1+5m
type script struct {
	t    *testing.T
	k    *Keeper
	now  time.Time
	last Outcome
}

func (s *script) node(word string) regions.Proposal {
	word, spiffe, _ := strings.Cut(word, "#")
	id, at, ok := strings.Cut(word, "=")
	p := regions.Proposal{Service: "s", Weight: 1}
	if ok {
		host, weight, heavy := strings.Cut(at, "/")
		if heavy {
			if _, err := fmt.Sscan(weight, &p.Weight); err != nil {
				s.t.Fatal(err)
			}
		}
		at = host
	} else {
		at = id
	}
	p.ID, p.URL = regions.NodeID(id), "https://"+at+"/mcp"
	if spiffe != "" {
		p.Identity.SPIFFE = "spiffe://example.org/" + spiffe
	}
	return p
}

func (s *script) do(line string) {
	words := strings.Fields(line)
	verb, rest := words[0], words[1:]
	var nodes []regions.Proposal
	for _, w := range rest {
		nodes = append(nodes, s.node(w))
	}
	switch name := verb[:len(verb)-1]; {
	case verb == "=":
		var ids []ID
		for _, w := range rest {
			name, key, _ := strings.Cut(w, "/")
			ids = append(ids, ID{name, key})
		}
		s.last = s.k.Configure(s.now, ids)
	case verb == "disk":
		var kept []Restored
		for _, w := range rest {
			w, source, _ := strings.Cut(w, "@")
			kept = append(kept, Restored{s.node(w), strings.Split(source, "+")})
		}
		s.last = s.k.Restore(s.now, kept)
	case verb == "expire":
		s.last = s.k.Expire(s.now, s.failing(rest))
	case verb[0] == '+':
		d, err := time.ParseDuration(verb[1:])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(d)
	default:
		a := Answer{Nodes: nodes, Removes: strings.HasSuffix(verb, "!"), Voices: []Voice{{Who: "r1", Agree: true}, {Who: "r2", Agree: !strings.HasSuffix(verb, "~")}}}
		if strings.HasSuffix(verb, "?") {
			a.Err = errors.New("timeout")
		}
		s.last = s.k.Take(s.now, name, a)
	}
}

func (s *script) failing(words []string) func(regions.NodeID) (time.Time, bool) {
	return func(id regions.NodeID) (time.Time, bool) {
		for _, w := range words {
			name, after, _ := strings.Cut(w, "+")
			d, _ := time.ParseDuration(after)
			if name == string(id) {
				return dawn.Add(d), true
			}
		}
		return time.Time{}, false
	}
}

// shown is the set in words: id, =host/weight#spiffe where not the usual, @holders (with - for one that names it no
// more, ~ for stale and ^ for from disk).
func (s *script) shown() string {
	var all []string
	for _, n := range s.k.Status().Nodes {
		w := string(n.ID)
		if host := strings.TrimSuffix(strings.TrimPrefix(n.URL, "https://"), "/mcp"); host != w {
			w += "=" + host
		}
		if n.Weight != 1 {
			w += fmt.Sprint("/", n.Weight)
		}
		w += strings.Replace(n.Identity.SPIFFE, "spiffe://example.org/", "#", 1)
		var holders []string
		for _, h := range n.Holders {
			mark := ""
			if !h.Left.IsZero() && h.Source != Retired {
				mark += "-"
			}
			if h.Stale && !h.Disk && h.Source != Retired {
				mark += "~"
			}
			if h.Disk {
				mark += "^"
			}
			holders = append(holders, h.Source+mark)
		}
		all = append(all, w+"@"+strings.Join(holders, "+"))
	}
	return strings.Join(all, " ")
}

func TestRules(t *testing.T) {
	for _, tc := range []struct {
		rule, script, want string // script: lines, parted by |
		conflicts          int
	}{
		{"named nodes join", "= a | a: n1 n2", "n1@a n2@a", 0},
		{"what is left out stays", "= a | a: n1 n2 | a: n1", "n1@a n2@a-", 0},
		{"and is named again", "= a | a: n1 n2 | a: n1 | a: n1 n2", "n1@a n2@a", 0},
		{"unless the source says it removes", "= a | a: n1 n2 | a! n1", "n1@a", 0},
		{"also what it had left out before", "= a | a: n1 n2 | a: n1 | a! n1", "n1@a", 0},
		{"a failed answer changes nothing", "= a | a! n1 n2 | a?", "n1@a~ n2@a~", 0},
		{"an empty answer changes nothing", "= a | a! n1 n2 | a:", "n1@a~ n2@a~", 0},
		{"an empty one that removes removes", "= a | a! n1 n2 | a!", "", 0},
		{"an unknown source says nothing", "= a | a! n1 | b! n2", "n1@a", 0},

		{"one URL is one node", "= a b | a: n1=h/2 | b: m1=h/3", "n1=h/2@a+b", 0},
		{"described by the first in order, called as by the first in time", "= a b | b: m1=h/3 | a: n1=h/2", "m1=h/2@a+b", 0},
		{"described by who still names it", "= a b | a: n1=h/2 n2 | b: n1=h/3 | a: n2", "n1=h/3@a-+b n2@a", 0},
		{"it stays while one holds it", "= a b | a! n1=h | b! n1=h | a!", "n1=h@b", 0},
		{"and goes with the last", "= a b | a! n1=h | b! n1=h | a! | b!", "", 0},
		{"it keeps an id that nobody uses", "= a b | a! n1=h | b! m1=h | a!", "n1=h@b", 0},
		{"until somebody does", "= a b | a! n1=h | b! m1=h | a! n1=k", "m1=h@b n1=k@a", 0},
		{"or it is called otherwise", "= a b | a! n1=h | b! m1=h | a! | b! m2=h", "m2=h@b", 0},
		{"a renamed node is called by its new name", "= a | a: n1=h | a: n2=h", "n2=h@a", 0},
		{"an id that moves leaves the old URL", "= a | a: n1=h | a: n1=k", "n1=k@a", 0},
		{"two ids change places", "= a | a: n1=h n2=k | a: n2=h n1=k", "n1=k@a n2=h@a", 0},
		{"ids move down a row", "= a | a: n1=h n2=k n3=l | a: n2=h n3=k n4=l", "n2=h@a n3=k@a n4=l@a", 0},

		{"an id belongs to the first", "= a b | b: n1=h | a: n1=k", "n1=h@b", 1},
		{"until it goes", "= a b | b! n1=h | a: n1=k | b!", "n1=k@a", 0},
		{"or is called otherwise", "= a b | b! n1=h | a: n1=k | b! n2=h", "n1=k@a n2=h@b", 0},
		{"a quarrel over a name costs no node", "= a b | a: n1=h | b: n2=k | b: n1=k", "n1=h@a n2=k@b", 1},
		{"and is settled", "= a b | a! n1=h | b: n2=k | b: n1=k | a!", "n1=k@b", 0},
		{"one that has no other name waits", "= a b | a: n1=h | b: n1=k n2=l", "n1=h@a n2=l@b", 1},
		{"another name will do", "= a b c | a: n1=h | b: n1=k | c: n3=k", "n1=h@a n3=k@b+c", 0},
		{"a URL twice in an answer", "= a | a: n1=h n2=h", "n1=h@a", 1},
		{"what is held stays", "= a | a: n2=h | a: n1=h n2=h", "n2=h@a", 1},
		{"an id twice in an answer", "= a | a: n1=h n1=k", "n1=h@a", 1},
		{"what is held stays, again", "= a | a: n1=k | a: n1=h n1=k", "n1=k@a", 1},
		{"an invalid node", "= a | a: n1/0=h=%zz n2", "n2@a", 1},

		{"an identity holds against none", "= a b | a: n1=h | b: n1=h#x", "n1=h#x@a+b", 0},
		{"two are a conflict", "= a b | b: n1=h#x | a: n1=h#y", "n1=h#x@b", 1},
		{"until one is left", "= a b | b! n1=h#x | a: n1=h#y | b!", "n1=h#y@a", 0},
		{"or they agree", "= a b | b: n1=h#x | a: n1=h#y | b: n1=h#y", "n1=h#y@a+b", 0},
		{"its source may change it", "= a | a: n1=h#x | a: n1=h#y", "n1=h#y@a", 0},

		{"what fails and nobody names goes", "= a | a: n1 n2 | a: n2 | +11m | expire n1 n2", "n2@a", 0},
		{"what verifies does not, however long", "= a | a: n1 n2 | a: n2 | +9000h | expire n2", "n1@a- n2@a", 0},
		{"nor before the bound", "= a | a: n1 n2 | a: n2 | +9m | expire n1", "n1@a- n2@a", 0},
		{"nor what fails since later", "= a | a: n1 n2 | a: n2 | +11m | expire n1+2m", "n1@a- n2@a", 0},
		{"nor what was not here so long", "= a | +20m | a: n1 n2 | a: n2 | +9m | expire n1", "n1@a- n2@a", 0},
		{"of a stale source, too", "= a | a: n1 n2 | a? | +11m | expire n1", "n2@a~", 0},
		{"but not if another names it", "= a b | a: n1 | b: n1 | a? | +11m | expire n1", "n1@a~+b", 0},
		{"it joins when it is named again", "= a | a: n1 n2 | a? | +11m | expire n1 | a: n1 n2", "n1@a n2@a", 0},

		{"a source that leaves takes its nodes", "= a b | a: n1 | b: n2 n1 | = a", "n1@a", 0},
		{"its place in the order is not its life", "= a b | a: n1=h/1 | b: n1=h/2 | = b a", "n1=h/2@b+a", 0},
		{"one that is replaced waits", "= a | a: n1 n2 | = a/2", "n1@retired n2@retired", 0},
		{"until the new one has spoken", "= a | a: n1 n2 | = a/2 | a: n2 n3", "n2@a n3@a", 0},
		{"failing is not speaking", "= a | a: n1 n2 | = a/2 | a? | a:", "n1@retired n2@retired", 0},
		{"an id that moved does not wait", "= a | a: n1=h | = a/2 b | a: n1=k", "n1=k@a", 0},
		{"all new ones have to speak", "= a | a: n1 | = b c | b: n2", "n1@retired n2@b", 0},
		{"and then", "= a | a: n1 | = b c | b: n2 | c: n3", "n2@b n3@c", 0},
		{"nobody dissenting", "= a | a: n1 n2 | = a/2 | a~ n2", "n1@retired n2@a", 0},
		{"or after the bound", "= a | a: n1 n2 | = a/2 | a~ n2 | +10m | expire", "n2@a", 0},
		{"replaced twice", "= a | a: n1 | = a/2 | a~ n2 | = a/3 | a: n3", "n3@a", 0},
		{"no successor, no waiting", "= a b | a: n1 | b: n2 | = b", "n2@b", 0},
		{"what waits fails like any other", "= a | a: n1 n2 | = a/2 | +11m | expire n1", "n2@retired", 0},

		{"from disk", "= a b | disk n1@a n2@a+b n3@x", "n1@a^ n2@a^+b^ n3@disk^", 0},
		{"named again", "= a | disk n1@a n2@a | a: n1", "n1@a n2@a-^", 0},
		{"deregistered meanwhile", "= a | disk n1@a n2@a | a! n1", "n1@a", 0},
		{"its sources are silent", "= a b | disk n1@a n2@b | a? | b:", "n1@a^ n2@b^", 0},
		{"another source's word is not its own's", "= a b | disk n1@a n2@b | b! n3", "n1@a^ n3@b", 0},
		{"an orphan that is named merges", "= a | disk n1@x | a: n1", "n1@a", 0},
		{"by another name", "= a | disk n1=h@x | a: n2=h", "n2=h@a", 0},
		{"whose id is another's now", "= a | disk n1=h@x | a: n1=k", "n1=k@a", 0},
		{"left out by some", "= a b | disk n1@x | a! n2 | b: n3", "n1@disk^ n2@a n3@b", 0},
		{"left out by all, who remove", "= a b | disk n1@x | a! n2 | b! n3", "n2@a n3@b", 0},
		{"an orphan fails like any other", "= a | disk n1@x n2@x | +11m | expire n1", "n2@disk^", 0},
		{"not before it was tried so long", "= a | disk n1@x n2@x | +9m | expire n1", "n1@disk^ n2@disk^", 0},
		{"without sources nothing vouches for it", "= | disk n1@x", "", 0},
		{"the disk does not contradict", "= a | a: n1=h | disk n1=k@x n2=h@x n3@a", "n1=h@a n3@disk^", 0},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			s := &script{t: t, k: NewKeeper(KeeperConfig{}), now: dawn}
			for _, line := range strings.Split(tc.script, "|") {
				s.do(line)
			}
			if got := s.shown(); got != tc.want {
				t.Errorf("%s:\ngot  %s\nwant %s", tc.script, got, tc.want)
			}
			if st := s.k.Status(); len(st.Conflicts) != tc.conflicts {
				t.Errorf("%s: conflicts %+v", tc.script, st.Conflicts)
			}
			ids := s.k.Nodes()
			if !slices.IsSortedFunc(ids, func(a, b regions.Proposal) int { return strings.Compare(string(a.ID), string(b.ID)) }) {
				t.Errorf("not in order: %v", ids)
			}
		})
	}
}

func TestBound(t *testing.T) {
	s := &script{t: t, k: NewKeeper(KeeperConfig{MaxNodes: 3}), now: dawn}
	for _, step := range []struct {
		line, want string
		refused    int
	}{
		{"= a b", "", 0},
		{"a: n1 n2", "n1@a n2@a", 0},
		{"b: m1 m2", "m1@b n1@a n2@a", 1},
		{"a: n1 n2 n0", "m1@b n1@a n2@a", 2}, // the first in order does not push others out
		{"b: m2", "m1@b- n1@a n2@a", 2},
		{"b! m2", "n0@a n1@a n2@a", 1}, // there is room: the first in order is first
		{"a! n0 n1", "m2@b n0@a n1@a", 0},
		{"a! n0 n1 n2 n3 n4", "m2@b n0@a n1@a", 3},
		{"b!", "n0@a n1@a n2@a", 2},
	} {
		s.do(step.line)
		if st := s.k.Status(); s.shown() != step.want || st.Refused != step.refused || len(st.Conflicts) != step.refused {
			t.Errorf("after %s: %s, refused %d: %v", step.line, s.shown(), st.Refused, st.Conflicts)
		}
	}
}

// Changed and News come once per change.
func TestNews(t *testing.T) {
	s := &script{t: t, k: NewKeeper(KeeperConfig{MaxNodes: 8}), now: dawn}
	for _, step := range []struct {
		line    string
		changed bool
		news    string
	}{
		{"= a b", false, ""},
		{"a: n1 n2", true, "nodes joined the set a [n1 n2]"},
		{"a: n1 n2", false, ""},
		{"a: n2 n1", false, ""},
		{"a?", false, "source is stale a []"},
		{"a?", false, ""},
		{"a:", false, ""},
		{"a: n1 n2", false, "source is fresh again a []"},
		{"a~ n1 n2", false, "not all agree a []"},
		{"a~ n1 n2", false, ""},
		{"a: n1 n2", false, "all agree again a []"},
		{"b: n1=h", false, "claim refused b [n1]"},
		{"b: n1=h", false, ""},
		{"b? ", false, "source is stale b []"},
		{"a! n2", true, "nodes left the set a [n1], nodes joined the set a [n1], claim refused no more b [n1]"},
		{"a! n2 n3 n4 n5 n6 n7 n8", true, "nodes joined the set a [n3 n4 n5 n6 n7 and 1 more]"},
		{"a! n2 n3 n4 n5 n6 n7 n8 n9", false, "newcomers refused  []"},
		{"a! n2 n3 n4 n5 n6 n7 n8 n9", false, ""},
		{"a! n2 n9", true, "nodes left the set a [n3 n4 n5 n6 n7 and 1 more], nodes joined the set a [n9], room for all nodes again  []"},
	} {
		s.do(step.line)
		var news []string
		for _, n := range s.last.News {
			news = append(news, fmt.Sprintf("%s %s [%s]", n.What, n.Source, n.Nodes))
		}
		if got := strings.Join(news, ", "); got != step.news || s.last.Changed != step.changed {
			t.Errorf("%s: changed %v, news %q", step.line, s.last.Changed, got)
		}
	}
}

// What a source says is bounded before anybody reads it.
func TestLongWords(t *testing.T) {
	k := NewKeeper(KeeperConfig{})
	k.Configure(dawn, []ID{{Name: "a"}})
	long := strings.Repeat("ä", 5000)
	var voices []Voice
	for range MaxVoices + 5 {
		voices = append(voices, Voice{Who: "x", Said: long})
	}
	nodes := named("fine")
	nodes = append(nodes, []regions.Proposal{{ID: regions.NodeID(long), URL: "http://a/"}, {ID: "u", URL: "http://a/" + long}, {ID: "r", URL: "http://b/", Region: long},
		{ID: "i", URL: "http://c/", Identity: regions.Identity{SPIFFE: long}}, {ID: "", URL: "http://d/"}}...)
	o := k.Take(dawn, "a", Answer{Nodes: nodes, Voices: voices})
	o.News = append(o.News, k.Take(dawn, "a", Answer{Err: errors.New(long), Voices: voices}).News...)
	st := k.Status()
	if idsOf(k.Nodes()) != "fine" || st.Refused != 5 || len(st.Sources[0].Voices) != MaxVoices || len(st.Sources[0].Voices[0].Said) > maxSaid || len(st.Sources[0].Cause) > maxCause {
		t.Errorf("%s, %d refused, %d voices", idsOf(k.Nodes()), st.Refused, len(st.Sources[0].Voices))
	}
	for _, n := range o.News {
		if len(n.Nodes) > 10*maxName || len(n.Cause) > 4*maxCause {
			t.Errorf("%d and %d bytes of news", len(n.Nodes), len(n.Cause))
		}
	}
	var log strings.Builder
	for range 300 {
		nodes = append(nodes, regions.Proposal{ID: "", URL: fmt.Sprint("http://e/", len(nodes))})
	}
	o = k.Take(dawn, "a", Answer{Nodes: nodes})
	for _, n := range o.News {
		fmt.Fprintln(&log, n)
	}
	if st := k.Status(); st.Refused != 305 || len(st.Conflicts) != maxConflicts || len(o.News) > 2*maxTold {
		t.Errorf("%d refused, %d shown, %d lines of news", st.Refused, len(st.Conflicts), len(o.News))
	}
}

// The same words in the same order make the same set, and the slices given out never change.
func TestDeterministic(t *testing.T) {
	run := func() (all []string) {
		w := newWorld(42)
		m := sound()
		for range 2000 {
			m, _ = w.apply(m, w.next(), sound)
			all = append(all, fmt.Sprint(m.Nodes(), m.Status()))
		}
		return all
	}
	if !slices.Equal(run(), run()) {
		t.Error("two runs differ")
	}
	k := NewKeeper(KeeperConfig{})
	k.Configure(dawn, []ID{{Name: "a"}})
	k.Take(dawn, "a", Answer{Nodes: named("b", "a")})
	before := k.Nodes()
	k.Take(dawn, "a", Answer{Nodes: named("c", "a"), Removes: true})
	if idsOf(before) != "a b" || idsOf(k.Nodes()) != "a c" {
		t.Errorf("%v, %v", before, k.Nodes())
	}
}

// Silence contradicts nobody: only answers of which something was learned, and quarrels, are disagreements.
func TestDisagreements(t *testing.T) {
	agrees, dissents := Voice{Who: "a", Agree: true}, Voice{Who: "b"}
	lost := errors.New("nothing was learned")
	k := NewKeeper(KeeperConfig{})
	k.Configure(time.Unix(0, 0), []ID{{Name: "dns"}})
	for i, tc := range []struct {
		what   string
		answer Answer
		want   uint64
	}{
		{"all agree", Answer{Voices: []Voice{agrees, agrees}}, 0},
		{"one dissents", Answer{Voices: []Voice{agrees, dissents}}, 1},
		{"nobody answers", Answer{Err: lost, Voices: []Voice{dissents, dissents}}, 1},
		{"they do not agree", Answer{Err: lost, Disputed: true, Voices: []Voice{dissents, dissents}}, 2},
	} {
		k.Take(time.Unix(int64(i), 0), "dns", tc.answer)
		if got := k.Sources()[0].Disagreements; got != tc.want {
			t.Errorf("%s: %d disagreements, want %d", tc.what, got, tc.want)
		}
	}
}
