package control

import (
	"encoding/json"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// signal is what gateways tell each other on their links. One of another cluster or generation is dropped.
type signal struct {
	Cluster string                   `json:"c"`
	Beat    *authority.Heartbeat     `json:"b,omitempty"`
	Ack     *authority.Ack           `json:"a,omitempty"`
	Confirm []authority.Confirmation `json:"f,omitempty"`
	Heard   *hearing                 `json:"h,omitempty"`
	Resigns *resignation             `json:"r,omitempty"`
}

// resignation is what a leader tells the voters that has given up, as too few of them answer it. They may have heard it all
// the while, and need not wait for an election's time-out of silence.
type resignation struct {
	Term uint64 `json:"t"`
}

// hearing is what a voter tells the leader: how long ago it heard from each life, and how far others are.
type hearing struct {
	Voter authority.VoterID `json:"v"`
	Lives []heard           `json:"l,omitempty"`
	// Far is the longest round trip of its links to voters.
	Far time.Duration `json:"r"`
}

// heard is a life and how long ago it was heard last. Ages are durations of the observer's own clock; what the
// signal takes on its way makes them look younger, never older.
type heard struct {
	Life authority.Life `json:"i"`
	Ago  time.Duration  `json:"t"`
	// Gone says that its process has ended, as far as the observer can tell: the links are cut, and where it listened
	// nobody does.
	Gone bool `json:"g,omitempty"`
}

// maxSignal bounds a signal, in bytes; the links have a bound of their own.
const maxSignal = 8 << 10

// maxHeard bounds the lives in one hearing, and confirmations in one signal, so that they fit with names of any length.
const maxHeard = 32

func (s *signal) encode() []byte {
	b, err := json.Marshal(s)
	if err != nil || len(b) > maxSignal {
		return nil
	}
	return b
}

func decodeSignal(b []byte) (signal, bool) {
	var s signal
	if len(b) > maxSignal || json.Unmarshal(b, &s) != nil {
		return s, false
	}
	return s, true
}
