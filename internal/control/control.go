// Package control runs the control group: the Raft log that says who is a gateway and who may write, this
// gateway's write gate, its promises where it is a voter, and what the leader has to see to. Nothing else decides
// about authority. It must not know routing, agents, how settings are used or where a rule comes from.
//
// One goroutine, the driver, owns gate, voter and sealer; Raft's own applies the log; the steward, at the leader,
// proposes. The protocol is internal/authority's; what is here are its clocks, disks, links and timers.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/strategies"
)

// Part is a named part of the replicated state besides authority. Its methods are called by one goroutine, and
// must be deterministic: every gateway applies the same commands in the same order.
//
// A part that is younger than the group's oldest release must be empty until every member reads it, see Node.AllRead:
// it says that with a snapshot of no bytes. An empty part is in no image, so that a release without it reads that.
type Part interface {
	// Apply applies the command at an index of the log. An error says that nothing was changed.
	Apply(index uint64, command []byte) (result []byte, err error)
	Snapshot() ([]byte, error)
	// Restore is the inverse of Snapshot; of no bytes: the part is empty.
	Restore(snapshot []byte) error
}

// Links are the ways to the other gateways; *peer.Peers is what implements it.
type Links interface {
	// Signal sends a few bytes to a gateway if a link with it is up, and never blocks.
	Signal(gateway string, payload []byte) bool
	// Streams accepts, Stream dials, connections for Raft.
	Streams() net.Listener
	Stream(ctx context.Context, address string) (net.Conn, error)
	// Links are those known, up or not.
	Links() []peer.Link
	// TransportTo carries requests to a gateway.
	TransportTo(gateway string) http.RoundTripper
	// Regreet makes every link anew, with the cluster that this gateway is of by now.
	Regreet()
}

// Config is what a Node needs. Fields without a default are required.
type Config struct {
	Gateway string
	Region  string
	Role    strategies.Role // default Voter
	// Expect names the first voters, the same at every one of them. Empty: this gateway begins no cluster, it joins
	// one; Alone: it is the only one.
	Expect []string
	// Address is where the others reach this gateway; not needed alone.
	Address string
	// Dir keeps log, promises and identity. Empty: in memory, which only a fleet of one may.
	Dir   string
	Build string // of this release, shown to others
	// Alone says that this is a fleet of one by its configuration: its gate is open for good.
	Alone bool
	// Interval between two heartbeats; default 200 ms.
	Interval time.Duration
	// Lease bounds how long an ack counts; 0: as long as it promises.
	Lease time.Duration
	// Mode is what happens while the gate is closed.
	Mode authority.Mode
	// Distance is the round trip to expect to the farthest voter, until links have measured it.
	Distance time.Duration
	Links    Links // nil: Alone
	Rules    authority.Rules
	// Ask returns the quorum rule for a roster, or an error: then the rule in force stays. It is called
	// at the leader only and must not block for long.
	Ask func(ctx context.Context, in strategies.Input) (strategies.Rule, error)
	// Options are the strategy's.
	Options func() map[string]string
	// Lead is told whether this gateway leads; nil: nobody asks.
	Lead  func(bool)
	Parts map[string]Part
	// Own names the parts that are of this fleet alone, as roster and claims are: Save and Load leave them out.
	Own []string
	// Event is told what happened; it must not block; nil: nobody asks.
	Event func(kind string, gateway, text string)
	// Ended is told of lives that ended by what was applied here since the start, in their order, after Node.Ended says
	// so. It must not block. A gateway that is late may hear of some of them only by asking. nil: nobody asks.
	Ended func(authority.Life)
	// Expired reports whether the lifetime of a record is over for good, as its name tells: the leader then forgets who
	// claimed it. It must not block; nil: claims are kept for ever.
	Expired func(record string, now time.Time) bool
	// Wall is this machine's wall clock, which the others are told; default time.Now.
	Wall func() time.Time
	// Logger is required.
	Logger *slog.Logger
}

// Errors that callers branch on.
var (
	// ErrNoQuorum: there is no leader, or this gateway may not write now. Nothing was done, or its outcome is not
	// known; asking again later is safe for commands that are.
	ErrNoQuorum = errors.New("no quorum")
	// ErrRefused: the group said no; the reason is in the text.
	ErrRefused = errors.New("refused")
	// ErrConfig is wrapped by errors of Open.
	ErrConfig = errors.New("control: config")
)

func (c *Config) check() error {
	if c.Role == 0 {
		c.Role = strategies.Voter
	}
	if c.Interval == 0 {
		c.Interval = 200 * time.Millisecond
	}
	if len(c.Expect) == 0 && c.Alone {
		c.Expect = []string{c.Gateway}
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Event == nil {
		c.Event = func(string, string, string) {}
	}
	if c.Lead == nil {
		c.Lead = func(bool) {}
	}
	if c.Ended == nil {
		c.Ended = func(authority.Life) {}
	}
	if c.Options == nil {
		c.Options = func() map[string]string { return nil }
	}
	switch {
	case c.Gateway == "" || c.Region == "" || c.Rules == nil || c.Ask == nil || c.Logger == nil:
		return fmt.Errorf("%w: gateway, region, rules, ask and logger are required", ErrConfig)
	case c.Alone && (c.Links != nil || len(c.Expect) != 1 || c.Expect[0] != c.Gateway || c.Role != strategies.Voter):
		return fmt.Errorf("%w: a fleet of one has no links, no other voters and is one itself", ErrConfig)
	case !c.Alone && (c.Links == nil || c.Address == "" || c.Dir == ""):
		return fmt.Errorf("%w: a fleet needs links, an address and a directory", ErrConfig)
	case c.Role.Votes() && c.Dir == "" && !c.Alone:
		return fmt.Errorf("%w: a voter's promises need a directory", ErrConfig)
	case len(c.Expect) > authority.MaxVoters || repeats(c.Expect):
		return fmt.Errorf("%w: expect %.200q: at most %d names, each once", ErrConfig, c.Expect, authority.MaxVoters)
	case c.Interval < 20*time.Millisecond || c.Interval > 5*time.Second:
		return fmt.Errorf("%w: interval %s is outside 20ms..5s", ErrConfig, c.Interval)
	case c.Distance < 0 || c.Distance > 10*time.Second:
		return fmt.Errorf("%w: distance %s is outside 0..10s", ErrConfig, c.Distance)
	}
	return nil
}

func repeats(names []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(names)))) < len(names)
}

// founder is the gateway that may found the cluster: the first by name of those expected.
func (c *Config) founder() string { return slices.Min(c.Expect) }
