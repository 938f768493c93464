// Package authority decides who may write: the write gate of a gateway, the promises of a voter, and the part
// of the replicated state machine that holds roster, quorum rule, barriers and claims. It must not know sockets,
// files, goroutines, the Raft library or where a rule comes from: times and entries of the log are arguments,
// and what there is to send, store or propose is returned.
//
// Times are durations since an epoch that the process chose, read from a clock that never goes back. Every
// process has its own; no time of another process is ever compared.
//
// The protocol is "The way of authority" in the design:
//
//   - A Gate heartbeats every voter. An ack promises that the voter helps nobody against this life of the
//     gateway for a time P. The gate is open while voters that satisfy the quorum rule are under such a promise.
//   - A barrier is an entry of the log (a suspicion, a change of rule) after which voters stop acking something.
//     A Voter confirms it once that is on its disk and its last promise to the contrary has run out.
//   - A Sealer, at the leader, proposes the entry that completes a barrier. The Machine judges it, at every
//     voter alike, by the rule in force at that entry.
package authority

import (
	"errors"
	"fmt"
	"time"
)

// Index is a place in the replicated log; the first is 1. It also names what the entry there began: a life, a
// barrier, the ballot of a claim.
type Index uint64

// Version counts quorum rules; the first is 1.
type Version uint64

// Life is one incarnation of one gateway. The incarnation is the index of the entry by which it joined, so
// none ever returns, and a life that is not in the roster at a later index has ended. For that, a log that is
// recovered from one voter must go on above every index that the lost one may have had.
type Life struct {
	Gateway     string `json:"gateway"`
	Incarnation Index  `json:"incarnation"`
}

// String returns gateway#incarnation.
func (l Life) String() string { return fmt.Sprintf("%s#%d", l.Gateway, l.Incarnation) }

// VoterID names a voter and the store that holds its promises. With another store it is another voter.
type VoterID struct {
	Name  string `json:"name"`
	Store string `json:"store"`
}

// String returns name/store.
func (v VoterID) String() string { return v.Name + "/" + v.Store }

// Member is a voter of the roster.
type Member struct {
	VoterID
	Region string `json:"region"`
	Joined Index  `json:"joined"` // the entry that brought it in: its age
	// Witness says that it votes and carries no traffic.
	Witness bool `json:"witness,omitempty"`
}

// Standing is what the log says of one gateway's latest life.
type Standing struct {
	Life
	Nonce   string `json:"nonce"`   // by which the process knows its own life
	Suspect Index  `json:"suspect"` // the suspicion in force; 0: none
	Fenced  Index  `json:"fenced"`  // the entry that ended this life; 0: not yet
}

// View is what the log says of rule and lives at one index. What its slices hold is never changed.
type View struct {
	Index  Index
	Ruling Ruling
	Lives  []Standing // by gateway
}

// standing returns where the gateway stands.
func (v *View) standing(gateway string) (Standing, bool) {
	for i := range v.Lives {
		if v.Lives[i].Gateway == gateway {
			return v.Lives[i], true
		}
	}
	return Standing{}, false
}

// Heartbeat asks every voter for an ack.
type Heartbeat struct {
	Life Life
	Seq  uint64 // within the life; the first is 1
}

// Ack answers a heartbeat. It promises that this voter confirms no fence of that life, and no later version
// of the rule, for Promise after it received the heartbeat.
type Ack struct {
	Voter   VoterID
	Life    Life
	Seq     uint64
	Version Version
	Promise time.Duration
}

// Confirmation says that a voter's disk holds the barrier and that no promise of it stands against it.
type Confirmation struct {
	Voter   VoterID
	Barrier Index
}

// Bounds of what the log may hold.
const (
	MaxGateways = 256
	MaxVoters   = 64
	// MaxName bounds names, regions, stores, nonces and records, in bytes.
	MaxName = 255
	// MaxSource bounds a quorum rule as it is written in the log, in bytes.
	MaxSource = 32 << 10
	// MaxCommand bounds an encoded command, in bytes.
	MaxCommand = 128 << 10
	// MaxTakes bounds the claims of one entry; MaxCommand does, too.
	MaxTakes = 512
	// LeastPromise and MostPromise bound P. A voter waits the largest it ever had, after every start and for every
	// barrier, so that one large mistake would be felt for ever.
	LeastPromise = 50 * time.Millisecond
	MostPromise  = time.Minute
)

// Errors that callers branch on.
var (
	// ErrNewer: written by a newer release. Who cannot read an entry of the log must stop applying it.
	ErrNewer = errors.New("written by a newer release")
	// ErrLostStore: the voter's promises are not where its store is. It must return as another voter.
	ErrLostStore = errors.New("the store of this voter's promises was lost")
	// ErrRefused: the state machine does not do this; the reason is in the text.
	ErrRefused = errors.New("refused")
)
