// Package discovery joins what the sources of a service's nodes say into one set, and decides what happens to
// nodes that a source names no more. It must not know how a source asks, nor what traffic does with a node.
package discovery

import (
	"context"
	"time"

	"github.com/quorate/quorate/regions"
)

// Source proposes the nodes of one service. It can only propose: what an answer leaves out is removed when the
// source says so in Answer.Removes, and otherwise only when it has failed verification for long enough.
type Source interface {
	// Run asks until ctx ends, and emits what it hears: every answer, also a failure to get one. It returns nil when
	// ctx has ended, otherwise the reason why it cannot go on; it is then run again, ever later. emit does not block
	// and takes over the answer.
	Run(ctx context.Context, emit func(Answer)) error
}

// Answer is what a source heard at one moment.
type Answer struct {
	// Nodes is the full set that the answer names, valid by regions.CheckProposal, with ids unique in the answer.
	Nodes []regions.Proposal
	// Removes says that the answer's absences are deregistrations: the source knows its whole set and is sure of it.
	Removes bool
	// Err is why nothing was learned; Nodes then means nothing, what was known stays and is stale.
	Err error
	// Disputed says that those who were asked contradict each other. An answer without Err from which a voice
	// dissents is disputed without it.
	Disputed bool
	// Voices are those who were asked and what each said, for operators; at most MaxVoices.
	Voices []Voice
}

// MaxVoices bounds the voices of one answer.
const MaxVoices = 16

// Voice is one party's part in an answer: a resolver, a Consul datacenter.
type Voice struct {
	Who   string        // its address or name
	Said  string        // its answer in a line, at most 200 bytes
	Agree bool          // it took part in what the answer says
	Took  time.Duration // until it answered
}
