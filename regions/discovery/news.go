package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/quorate/quorate/regions"
)

// News is one line for the log. Its strings are bounded, whatever a source says.
type News struct {
	Bad    bool   // somebody may have to do something
	What   string // one of a few fixed texts
	Source string // whose doing it is, if it is one source's
	Nodes  string // the first ids, and how many there are
	Cause  string
}

// Log writes n.
func (n News) Log(log *slog.Logger) {
	level := slog.LevelInfo
	if n.Bad {
		level = slog.LevelWarn
	}
	var attrs []slog.Attr
	for _, a := range []slog.Attr{slog.String("source", n.Source), slog.String("nodes", n.Nodes), slog.String("cause", n.Cause)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	log.LogAttrs(context.Background(), level, n.What, attrs...)
}

// Conflict is a claim of a source that does not count, or not fully, and why.
type Conflict struct {
	Source, ID, URL, Cause string
}

func (c Conflict) news(bad bool, what string) News {
	return News{Bad: bad, What: what, Source: c.Source, Nodes: c.ID, Cause: c.URL + ": " + c.Cause}
}

const (
	maxConflicts = 100 // shown
	maxTold      = 10  // lines of one kind in the log for one change
	maxIDs       = 5   // in one line
)

func conflict(source string, p regions.Proposal, cause string) Conflict {
	return Conflict{Source: source, ID: clip(string(p.ID), maxName), URL: clip(p.URL, maxName), Cause: clip(cause, 2*maxCause)}
}

// gone tells what is in before and not in after; both are by URL.
func gone(before, after []regions.Proposal, why News) []News {
	why.What = "nodes left the set"
	return differ(before, after, why)
}

const fromDisk = "kept on disk"

// came tells what is new. Why others go is none of its cause.
func came(before, after []regions.Proposal, why News) []News {
	n := News{What: "nodes joined the set", Source: why.Source}
	if why.Cause == fromDisk {
		n.Cause = fromDisk
	}
	return differ(after, before, n)
}

// differ puts the nodes of a that b has not into n.
func differ(a, b []regions.Proposal, n News) []News {
	var ids []string
	count, o := 0, 0
	for i := range a {
		for o < len(b) && b[o].URL < a[i].URL {
			o++
		}
		if o < len(b) && b[o].URL == a[i].URL && b[o].ID == a[i].ID {
			continue
		}
		if count++; len(ids) < maxIDs {
			ids = append(ids, clip(string(a[i].ID), maxName))
		}
	}
	if count == 0 {
		return nil
	}
	n.Nodes = strings.Join(ids, " ")
	if count > len(ids) {
		n.Nodes += fmt.Sprintf(" and %d more", count-len(ids))
	}
	return []News{n}
}

// quarrels tells which conflicts began and which ended with the last join.
func (k *Keeper) quarrels() (news []News) {
	began := slices.DeleteFunc(slices.Clone(k.join.conflicts), func(c Conflict) bool { return c.Cause == noRoom || slices.Contains(k.conflicts, c) })
	for i, c := range began {
		if i == maxTold {
			news = append(news, News{Bad: true, What: "claims refused", Cause: fmt.Sprintf("%d more", len(began)-i)})
			break
		}
		news = append(news, c.news(true, "claim refused"))
	}
	if k.refused <= maxConflicts && k.join.refused <= maxConflicts { // else the list is not whole
		ended := slices.DeleteFunc(slices.Clone(k.conflicts), func(c Conflict) bool { return c.Cause == noRoom || slices.Contains(k.join.conflicts, c) })
		for _, c := range ended[:min(len(ended), maxTold)] {
			news = append(news, c.news(false, "claim refused no more"))
		}
	}
	switch {
	case k.over == 0 && k.join.over > 0:
		news = append(news, News{Bad: true, What: "newcomers refused", Cause: fmt.Sprintf("%s, at most %d; %d are left out", noRoom, k.cfg.MaxNodes, k.join.over)})
	case k.over > 0 && k.join.over == 0:
		news = append(news, News{What: "room for all nodes again"})
	}
	return news
}

// clip cuts s to at most n bytes of valid UTF-8.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
