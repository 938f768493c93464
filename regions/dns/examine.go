package dns

import (
	"context"
	"fmt"
	"slices"

	"github.com/quorate/quorate/regions/discovery"
)

// Examination is what one round came to, resolver by resolver, for a table.
type Examination struct {
	Answer    discovery.Answer
	Name      string // as configured
	Type      Type
	DNSSEC    Validation
	Agree     int // resolvers that must name the same
	Resolvers []ResolverExamination
}

// ResolverExamination is one resolver's part. Its Voice is the one in the answer.
type ResolverExamination struct {
	discovery.Voice
	// Answered: it names endpoints. Otherwise it said that there are none (Denied), or gave no usable answer.
	Answered, Denied bool
	Names            []string // what it names, "target:port", sorted, each once, at most 32
	AD, Trusted      bool     // its answer came with the AD bit; that bit is believed
	Uncounted        string   // why its answer does not count under DNSSEC; "" when it does
}

// maxNames bounds the names of a ResolverExamination.
const maxNames = 32

// Examine asks every resolver once, as Ask does, and says of each what it answered. Answers may change the resolvers'
// circuit breakers, so a Source that serves should not be examined.
func (s *Source) Examine(ctx context.Context) Examination {
	v := s.hear(ctx)
	e := Examination{Answer: s.answer(v), Name: s.cfg.Name, Type: s.cfg.Type, DNSSEC: s.cfg.DNSSEC, Agree: s.cfg.Agree}
	for i, w := range v.views {
		r := ResolverExamination{
			Voice: e.Answer.Voices[i], AD: w.ad, Trusted: w.who.trusted, Uncounted: v.uncounts[i],
			Answered: w.outcome == answered, Denied: w.outcome == empty || w.outcome == nxdomain,
		}
		for _, p := range w.endpoints {
			r.Names = append(r.Names, fmt.Sprintf("%s:%d", plain(p.target, 253), p.port))
		}
		slices.Sort(r.Names)
		r.Names = slices.Compact(r.Names)
		r.Names = r.Names[:min(len(r.Names), maxNames)]
		e.Resolvers = append(e.Resolvers, r)
	}
	return e
}
