// Package dns is the source of nodes that DNS names, believed only as far as several independent resolvers agree.
// It must not know health, the table, other sources, nor what becomes of a node that it names no more.
package dns

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/regions/discovery"
)

// Name is what proposals of this source carry in their Source field.
const Name = "dns"

// Why a round learned nothing. The error of an answer wraps one of them, and says more.
var (
	// ErrEmpty: enough resolvers say that the name has no such records, or that the service is not offered there
	// (an SRV target of ".", RFC 2782).
	ErrEmpty = errors.New("no nodes are named")
	// ErrNXDomain: enough resolvers say that the name does not exist. It is an ErrEmpty too.
	ErrNXDomain = errors.New("the name does not exist")
	// ErrNoAgreement: enough resolvers answered, but not enough of them name the same.
	ErrNoAgreement = errors.New("the resolvers do not agree")
	// ErrServFail: too few answered, and most of the others failed at it (SERVFAIL, REFUSED and the like).
	ErrServFail = errors.New("the resolvers fail")
	// ErrUnanswered: too few answered, and most of the others were silent, unreachable or not understood.
	ErrUnanswered = errors.New("the resolvers do not answer")
	// ErrBogus: too few answers hold under DNSSEC: signatures are bad, or there are none where they are asked for.
	ErrBogus = errors.New("answers fail DNSSEC validation")
)

// Reason returns the word for metrics and status of an answer's error: "empty", "nxdomain", "no_agreement",
// "servfail", "unanswered", "bogus", "other", or "" for nil.
func Reason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrNXDomain):
		return "nxdomain"
	case errors.Is(err, ErrEmpty):
		return "empty"
	case errors.Is(err, ErrNoAgreement):
		return "no_agreement"
	case errors.Is(err, ErrServFail):
		return "servfail"
	case errors.Is(err, ErrUnanswered):
		return "unanswered"
	case errors.Is(err, ErrBogus):
		return "bogus"
	}
	return "other"
}

// Source asks every resolver for one name, round after round. Its answers never remove a node: absence in DNS is no
// deregistration. It implements discovery.Source.
type Source struct {
	cfg       Config
	names     []string // fully qualified, in the order in which they are tried
	resolvers []*resolver
	rule      rule
}

// New returns a Source, or every problem of cfg at once. With no resolvers configured it reads Config.ResolvConf.
func New(cfg Config) (*Source, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	resolvers, err := cfg.resolvers()
	if err := errors.Join(append(cfg.problems(resolvers), err)...); err != nil {
		return nil, fmt.Errorf("dns: %q: %w", cfg.Name, err)
	}
	return &Source{
		cfg: cfg, names: searchList(cfg.Name, cfg.Search, cfg.Ndots), resolvers: resolvers,
		rule: rule{agree: cfg.Agree, confirm: !cfg.proves()},
	}, nil
}

// Run asks until ctx ends, and emits the answer of every round. It returns nil.
func (s *Source) Run(ctx context.Context, emit func(discovery.Answer)) error {
	var p pace
	for {
		answer, ttl := s.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		emit(answer)
		var wait time.Duration
		wait, p = p.next(answer.Err == nil, ttl, s.cfg)
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// Ask asks every resolver once. It takes as long as the slowest, at most 4 × Config.Timeout × Config.Tries.
func (s *Source) Ask(ctx context.Context) discovery.Answer {
	answer, _ := s.round(ctx)
	return answer
}

// round asks every resolver and decides what is believed. The lowest time to live is of what is believed.
func (s *Source) round(ctx context.Context) (discovery.Answer, time.Duration) {
	v := s.hear(ctx)
	return s.answer(v), v.ttl
}

// hear asks every resolver and judges what they say.
func (s *Source) hear(ctx context.Context) verdict {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.roundTimeout())
	defer cancel()
	views := make([]view, len(s.resolvers))
	var asked sync.WaitGroup
	for i, r := range s.resolvers {
		asked.Go(func() { views[i] = s.perspective(ctx, r) })
	}
	asked.Wait()
	return judge(views, s.rule, s.cfg.DNSSEC)
}

func (s *Source) answer(v verdict) discovery.Answer {
	answer := discovery.Answer{Err: v.err, Voices: voices(v)}
	if v.err == nil {
		answer.Nodes = propose(v.accepted, s.cfg)
	} else {
		answer.Err = failed(s.cfg.Name, v)
		answer.Disputed = errors.Is(v.err, ErrNoAgreement)
	}
	return answer
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
