package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Control is what an operator asks and orders of the control group. Every field is required. What the functions
// return as ErrNoQuorum, ErrNeedsAttest, ErrRefused, ErrUnknownRegion and ErrBadSnapshot has an answer of its own, and
// the error's text is shown: it says what to do.
type Control struct {
	// Cluster gathers the answer of /v1/cluster. It may ask other gateways, for a second or two, and never fails: what
	// is not known stays empty.
	Cluster func() Cluster
	// Lead moves leadership. ctx does not end when the client leaves, only with its deadline.
	Lead func(ctx context.Context, o Leadership) error
	// Reconcile brings every gateway that can be reached up to the leader's last commit, and says how that went.
	Reconcile func(ctx context.Context) (Agreement, error)
	// Verify compares the state of every gateway at one entry of the log, and changes nothing.
	Verify func(ctx context.Context) (Agreement, error)
	// Snapshot returns what the control group holds besides roster and rule, at most MaxSnapshot bytes.
	Snapshot func(ctx context.Context) ([]byte, error)
	// Restore replaces that by a snapshot, on every gateway. ctx is as for Lead.
	Restore func(ctx context.Context, snapshot []byte, by string) error
}

func (c *Control) whole() bool {
	return c.Cluster != nil && c.Lead != nil && c.Reconcile != nil && c.Verify != nil && c.Snapshot != nil && c.Restore != nil
}

// MaxSnapshot bounds a snapshot that goes through this listener, in bytes.
const MaxSnapshot = 64 << 20

// Cluster is the answer of /v1/cluster. Its JSON keys are a contract with scripts: add, never rename.
type Cluster struct {
	// Grade, Reasons, NodesUp and Nodes are worked out here from the rest.
	Grade   Grade    `json:"grade"`
	Reasons []string `json:"reasons"`
	NodesUp int      `json:"nodes_up"`
	Nodes   int      `json:"nodes"`

	ID         string `json:"id"`         // minted at the first start; "" before
	Generation uint64 `json:"generation"` // 1, and one more for each time that it was forced
	Gateway    string `json:"gateway"`    // the one that answers
	Leader     string `json:"leader"`     // "" when none is known here
	Term       uint64 `json:"term"`
	Commit     uint64 `json:"commit"`   // the last entry known to be committed
	Applied    uint64 `json:"applied"`  // the last entry applied here
	Epoch      uint64 `json:"epoch"`    // what nodes are told as Quorate-Fence
	Declared   int    `json:"declared"` // voters that the fleet is to have in the end
	// Problem is why this gateway follows the log no more, and what to do; "" for none.
	Problem string `json:"problem"`
	// Partition says that this gateway has lost gateways of the roster that have not left.
	Partition bool   `json:"partition"`
	Gate      Gate   `json:"gate"`
	Minority  string `json:"minority"` // read_only, reject or standalone
	Rule      Rule   `json:"rule"`
	Plugin    Plugin `json:"plugin"`
	// LastFailover is the last change of leader; null: none since this process began.
	LastFailover *Failover `json:"last_failover"`
	// Forced lists for ever who attested that the other side is off.
	Forced   []Forcing `json:"forced"`
	Gateways []Member  `json:"gateways"`
}

// The roles of a gateway in the control group.
const (
	RoleVoter   = "voter"
	RoleMember  = "member"  // follows without a vote
	RoleWitness = "witness" // votes and serves nobody
)

// Gate is this gateway's write gate.
type Gate struct {
	Open   bool   `json:"open"`
	Reason string `json:"reason"` // why it is closed, and what to do
}

// Rule is the quorum rule that this gateway has applied.
type Rule struct {
	Version  uint64 `json:"version"`
	Strategy string `json:"strategy"`
	Words    string `json:"words"`    // such as "2 of gw-1, gw-2, gw-3"
	Changing bool   `json:"changing"` // the rule before it is needed too
	// Definition is the rule for programs, in the form that quorate's strategies package reads; null: not known.
	Definition json.RawMessage `json:"definition"`
	PromiseMS  float64         `json:"promise_ms"`
}

// Plugin is the process that the strategy runs in. Only the leader runs one.
type Plugin struct {
	Name string `json:"name"`
	// State is "running", "restarting", "refused" or "idle" (this gateway does not lead); Cause says why.
	State    string `json:"state"`
	Cause    string `json:"cause"`
	Restarts uint64 `json:"restarts"`
}

// Failover is a change of leader: when it was over, and how long the group had none.
type Failover struct {
	At     Time    `json:"at"`
	TookMS float64 `json:"took_ms"`
}

// Forcing is one order by force.
type Forcing struct {
	At string `json:"at"` // RFC 3339, by the clock of the gateway that was ordered
	By string `json:"by"`
	// RuleVersion is that of the rule which came of it.
	RuleVersion uint64 `json:"rule_version"`
}

// Member is one gateway or witness of the roster, as the gateway that answers sees it.
type Member struct {
	Gateway string  `json:"gateway"`
	Region  string  `json:"region"`
	Role    string  `json:"role"` // one of the roles
	Up      bool    `json:"up"`
	RTTMS   float64 `json:"rtt_ms"`
	// Gate is "open", "closed", "unknown" or, of a witness, "none".
	Gate        string `json:"gate"`
	Incarnation uint64 `json:"incarnation"` // 0: no life in the log
	Suspected   bool   `json:"suspected"`
	Fenced      bool   `json:"fenced"`
	RuleVersion uint64 `json:"rule_version"`
	Applied     uint64 `json:"applied"`
	// LagMS is how long ago the gateway that answers applied the first entry that this one has not.
	LagMS   float64 `json:"lag_ms"`
	Version string  `json:"version"` // of its build
}

// role is that of the gateway that answers, "" while it is not in the roster.
func (c *Cluster) role() string {
	for _, m := range c.Gateways {
		if m.Gateway == c.Gateway {
			return m.Role
		}
	}
	return ""
}

// cluster answers GET /v1/cluster.
func cluster(c *Control) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, graded(c.Cluster(), time.Now()))
	}
}

// graded returns c with its grade, and with every absent list empty. What c shares with its maker is not changed.
func graded(c Cluster, now time.Time) Cluster {
	c.Gateways, c.Forced = append([]Member{}, c.Gateways...), append([]Forcing{}, c.Forced...)
	c.NodesUp, c.Nodes = 0, len(c.Gateways)
	for i := range c.Gateways {
		m := &c.Gateways[i]
		switch {
		case m.Role == RoleWitness:
			m.Gate = GateNone
		case m.Gate == "":
			m.Gate = GateUnknown
		}
		if m.Up {
			c.NodesUp++
		}
	}
	c.Grade, c.Reasons = gradeOf(c, now)
	return c
}
