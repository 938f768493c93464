package lastgood

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

const (
	fileName = "nodes.json"
	version  = 1
	// MaxFile bounds the file in bytes, read and written; 10,000 nodes of 200 tools in 8 releases take 4 MB.
	MaxFile = 64 << 20
	// MaxNodes bounds the nodes of all services together.
	MaxNodes = 100_000
)

// Node is one node as it was last verified.
type Node struct {
	regions.Proposal
	Sources  []string       // the names of those who held it
	Facts    *regions.Facts // required: one that was never verified is not kept
	LastSeen time.Time      // its last good check
}

// Set is the nodes of every service by the service's name.
type Set map[string][]Node

// frame is the file: the checksum is over the bytes of Body as they stand there.
type frame struct {
	V      int             `json:"v"`
	SHA256 string          `json:"sha256"`
	Body   json.RawMessage `json:"body"`
}

// body keeps facts apart from the nodes, because most nodes of a release share them.
type body struct {
	Saved    time.Time          `json:"saved"`
	Facts    []facts            `json:"facts"`
	Services map[string][]saved `json:"services"`
}

type facts struct {
	Eras     regions.Eras            `json:"eras"`
	Stateful bool                    `json:"stateful,omitempty"`
	Versions []string                `json:"versions,omitempty"`
	Groups   []string                `json:"groups,omitempty"`
	Tools    map[string]regions.Tool `json:"tools,omitempty"`
}

type saved struct {
	ID       regions.NodeID   `json:"id"`
	URL      string           `json:"url"`
	Host     string           `json:"host,omitempty"`
	Region   string           `json:"region"`
	Source   string           `json:"source"`
	Weight   int              `json:"weight"`
	Identity regions.Identity `json:"identity,omitzero"`
	Version  string           `json:"version,omitempty"`
	Group    string           `json:"group,omitempty"`
	Sources  []string         `json:"sources,omitempty"`
	Facts    int              `json:"facts"` // index
	LastSeen time.Time        `json:"last_seen"`
}

// encode returns the file's content. Nodes without facts are left out.
func encode(set Set, now time.Time) ([]byte, error) {
	b := body{Saved: now, Facts: []facts{}, Services: make(map[string][]saved, len(set))}
	known := map[string]int{}
	for _, service := range slices.Sorted(maps.Keys(set)) {
		all := make([]saved, 0, len(set[service]))
		for _, n := range set[service] {
			if n.Facts == nil {
				continue
			}
			all = append(all, saved{ID: n.ID, URL: n.URL, Host: n.Host, Region: n.Region, Source: n.Source, Weight: n.Weight, Identity: n.Identity,
				Version: n.Version, Group: n.Group, Sources: n.Sources, Facts: b.index(n.Facts, known), LastSeen: n.LastSeen})
		}
		b.Services[service] = all
	}
	text, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	out, err := framed(text)
	switch {
	case err != nil:
		return nil, err
	case len(out) >= MaxFile:
		return nil, fmt.Errorf("%d bytes, at most %d", len(out), MaxFile)
	}
	return append(out, '\n'), nil
}

func framed(body []byte) ([]byte, error) {
	sum := sha256.Sum256(body)
	return json.Marshal(frame{V: version, SHA256: hex.EncodeToString(sum[:]), Body: body})
}

// index returns where f stands among the facts, where it puts it if need be. Verification shares one map of tools
// among all nodes that list the same, so the map's address tells lists apart; writing each out would take far longer.
func (b *body) index(f *regions.Facts, known map[string]int) int {
	key := fmt.Sprintf("%d %t %q %q %d", f.Eras, f.Stateful, f.Versions, f.Groups, reflect.ValueOf(f.Tools).Pointer())
	at, ok := known[key]
	if !ok {
		at = len(b.Facts)
		known[key] = at
		b.Facts = append(b.Facts, facts{Eras: f.Eras, Stateful: f.Stateful, Versions: f.Versions, Groups: f.Groups, Tools: f.Tools})
	}
	return at
}

var (
	errVersion  = errors.New("it is of another version")
	errChecksum = errors.New("its checksum is wrong: it is damaged")
)

// decode is the inverse of encode for nodes seen less than maxAge before now.
func decode(content []byte, now time.Time, maxAge time.Duration) (Set, error) {
	var f frame
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, fmt.Errorf("it is cut off or no JSON: %w", err)
	}
	if f.V != version {
		return nil, fmt.Errorf("%w: %d, not %d", errVersion, f.V, version)
	}
	if sum := sha256.Sum256(f.Body); f.SHA256 != hex.EncodeToString(sum[:]) {
		return nil, errChecksum
	}
	var b body
	d := json.NewDecoder(bytes.NewReader(f.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return nil, err
	}
	return b.set(now, maxAge)
}

// set checks what a program that is not this one may have written.
func (b *body) set(now time.Time, maxAge time.Duration) (Set, error) {
	all := make([]*regions.Facts, len(b.Facts))
	for i, f := range b.Facts {
		if f.Eras == 0 || f.Eras > regions.Legacy|regions.Modern {
			return nil, fmt.Errorf("eras %d are none", f.Eras)
		}
		all[i] = &regions.Facts{Eras: f.Eras, Stateful: f.Stateful, Versions: f.Versions, Groups: f.Groups, Tools: f.Tools}
	}
	set, total := make(Set, len(b.Services)), 0
	for _, service := range slices.Sorted(maps.Keys(b.Services)) {
		ids, urls := map[regions.NodeID]bool{}, map[string]bool{}
		for _, s := range b.Services[service] {
			n, err := s.node(service, all)
			switch {
			case err != nil:
				return nil, fmt.Errorf("service %q: %w", service, err)
			case ids[n.ID] || urls[n.URL]:
				return nil, fmt.Errorf("service %q: %w: %q", service, regions.ErrDuplicateNode, n.ID)
			}
			ids[n.ID], urls[n.URL] = true, true
			if n.LastSeen.After(now) {
				n.LastSeen = now // the clock was put back: nothing may be young until that time comes again
			}
			if now.Sub(n.LastSeen) < maxAge {
				set[service] = append(set[service], n)
				total++
			}
		}
	}
	if total > MaxNodes {
		return nil, fmt.Errorf("%d nodes, at most %d", total, MaxNodes)
	}
	return set, nil
}

func (s *saved) node(service string, all []*regions.Facts) (n Node, err error) {
	n.Proposal = regions.Proposal{ID: s.ID, Service: service, URL: s.URL, Host: s.Host, Region: s.Region, Source: s.Source,
		Weight: cmp.Or(s.Weight, 1), Identity: s.Identity, Version: s.Version, Group: s.Group}
	if s.Facts < 0 || s.Facts >= len(all) {
		return n, fmt.Errorf("node %q: there are no facts %d", s.ID, s.Facts)
	}
	n.Sources, n.Facts, n.LastSeen = s.Sources, all[s.Facts], s.LastSeen
	return n, regions.CheckProposal(n.Proposal)
}
