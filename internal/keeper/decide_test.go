package keeper

import (
	"testing"

	"github.com/quorate/quorate/internal/authority"
)

var (
	me    = authority.Life{Gateway: "gw-1", Incarnation: 10}
	other = authority.Life{Gateway: "gw-2", Incarnation: 11}
	was   = authority.Life{Gateway: "gw-1", Incarnation: 5}
)

func ownedBy(l authority.Life, ballot authority.Index) authority.Claim {
	return authority.Claim{Owner: l, Ballot: ballot}
}

func TestNext(t *testing.T) {
	for name, c := range map[string]struct {
		s    situation
		want step
	}{
		"forged":                          {situation{Over: true, Me: me, Owner: ownedBy(me, 0), Here: live}, unknown},
		"deleted here":                    {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Up: true, Here: deleted}, unknown},
		"deleted before it was claimed":   {situation{Me: me, Gate: true, Owner: ownedBy(other, 20), Up: true, Here: deleted}, relay},
		"mine":                            {situation{Me: me, Gate: true, Owner: ownedBy(me, 0), Here: live}, here},
		"mine while the gate is closed":   {situation{Me: me, Owner: ownedBy(me, 0), Here: live}, here},
		"mine and never kept":             {situation{Me: me, Gate: true, Owner: ownedBy(me, 0)}, unknown},
		"claimed, contents elsewhere":     {situation{Me: me, Gate: true, Owner: ownedBy(me, 20)}, fetch},
		"claimed, older contents here":    {situation{Me: me, Gate: true, Owner: ownedBy(me, 20), Here: live, At: 7}, fetch},
		"claimed, contents here":          {situation{Me: me, Gate: true, Owner: ownedBy(me, 20), Here: live, At: 20}, here},
		"given away, nobody came":         {situation{Me: me, Gate: true, Owner: ownedBy(me, 0), Here: live, Released: true}, take},
		"given away, gate closed":         {situation{Me: me, Owner: ownedBy(me, 0), Here: live, Released: true}, wait},
		"a copy ahead of the log":         {situation{Me: me, Gate: true, Owner: ownedBy(me, 0), Here: live, At: 20}, wait},
		"a copy ahead of the log, late":   {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Up: true, Here: live, At: 20, Late: true}, unreachable},
		"a copy ahead of a forced log":    {situation{Me: me, Gate: true, Owner: ownedBy(me, 10), Here: live, At: 20, Soon: true}, take},
		"ahead of one, the owner ended":   {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Ended: true, Here: live, At: 20, Soon: true}, take},
		"ahead of one, the owner lives":   {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Up: true, Here: live, At: 20, Soon: true}, wait},
		"a holder is ahead":               {situation{Me: me, Gate: true, Owner: ownedBy(me, 10), Ahead: true}, wait},
		"a holder is ahead for long":      {situation{Me: me, Gate: true, Owner: ownedBy(me, 10), Ahead: true, Soon: true}, take},
		"the owner lives":                 {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Up: true}, relay},
		"the owner lives, gate closed":    {situation{Me: me, Owner: ownedBy(other, 0), Up: true}, relay},
		"the owner lives, no life here":   {situation{Owner: ownedBy(other, 0), Up: true}, relay},
		"the agent has moved":             {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Up: true, Due: true}, ask},
		"the owner has given it":          {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Up: true, Given: true}, take},
		"the owner is silent":             {situation{Me: me, Gate: true, Owner: ownedBy(other, 0)}, wait},
		"the owner is silent for long":    {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Here: live, Late: true}, unreachable},
		"an earlier life of this gateway": {situation{Me: me, Gate: true, Owner: ownedBy(was, 0), Here: live}, wait},
		"one that has ended":              {situation{Me: me, Gate: true, Owner: ownedBy(was, 0), Ended: true, Here: live}, take},
		"ended":                           {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Ended: true}, look},
		"ended, a copy here":              {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Ended: true, Here: live}, take},
		"ended, a copy elsewhere":         {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Ended: true, Looked: true, Found: live}, take},
		"ended, deleted elsewhere":        {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Ended: true, Looked: true, Found: deleted}, unknown},
		"ended, no copy":                  {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Ended: true, Looked: true}, unknown},
		"ended, somebody is silent":       {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Ended: true, Looked: true, Silent: true}, wait},
		"ended, silent for long":          {situation{Me: me, Gate: true, Owner: ownedBy(other, 0), Ended: true, Looked: true, Silent: true, Late: true}, missing},
		"ended, gate closed":              {situation{Me: me, Owner: ownedBy(other, 0), Ended: true, Here: live}, wait},
		"ended, gate closed for long":     {situation{Me: me, Owner: ownedBy(other, 0), Ended: true, Here: live, Soon: true}, minority},
		"ended, no life here":             {situation{Gate: true, Owner: ownedBy(other, 0), Ended: true, Here: live, Soon: true}, minority},
	} {
		if got := c.s.next(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestEverySituation holds every decision that can be to what makes it safe.
func TestEverySituation(t *testing.T) {
	flags := []func(*situation){
		func(s *situation) { s.Over = true }, func(s *situation) { s.Gate = true }, func(s *situation) { s.Ended = true },
		func(s *situation) { s.Up = true }, func(s *situation) { s.Released = true }, func(s *situation) { s.Due = true },
		func(s *situation) { s.Given = true }, func(s *situation) { s.Looked = true }, func(s *situation) { s.Silent = true },
		func(s *situation) { s.Soon = true }, func(s *situation) { s.Late = true }, func(s *situation) { s.Ahead = true },
	}
	n := 0
	for bits := range 1 << len(flags) {
		for _, life := range []authority.Life{{}, me} {
			for _, owner := range []authority.Life{me, other, was} {
				for _, ballot := range []authority.Index{0, 20} {
					for _, at := range []authority.Index{0, 20, 30} {
						for _, copied := range []held{none, live, deleted} {
							for _, found := range []held{none, live, deleted} {
								s := situation{Me: life, Owner: ownedBy(owner, ballot), Here: copied, At: at, Found: found}
								for i, set := range flags {
									if bits&(1<<i) != 0 {
										set(&s)
									}
								}
								if !possible(&s) {
									continue
								}
								n++
								judge(t, s)
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d situations", n)
	if n < 10_000 {
		t.Error("too few situations are possible")
	}
}

// possible leaves out what cannot be: the present life has not ended, and nothing has a ballot where nothing is.
func possible(s *situation) bool {
	mine := s.Me.Incarnation != 0 && s.Owner.Owner == s.Me
	return (!mine || !s.Ended && !s.Given) && (s.Here != none || s.At == 0) && (mine || !s.Released) && (s.Looked || s.Found == none && !s.Silent) &&
		(mine && s.Owner.Ballot > 0 || !s.Ahead) && (s.Soon || !s.Late)
}

func judge(t *testing.T, s situation) {
	t.Helper()
	mine := s.Me.Incarnation != 0 && s.Owner.Owner == s.Me
	ahead := s.At > s.Owner.Ballot || s.Ahead
	gone := s.Here == deleted && s.At >= s.Owner.Ballot
	var ok bool
	switch what := s.next(); what {
	case here:
		ok = mine && !s.Over && !s.Released && s.Here == live && s.At == s.Owner.Ballot && !ahead
	case take:
		ok = s.Gate && s.Me.Incarnation != 0 && !s.Over && !gone && (s.Ended || s.Given || mine && (s.Released || ahead)) && (!ahead || s.Soon)
	case fetch:
		ok = mine && !s.Released && s.Owner.Ballot > 0 && !ahead
	case unknown:
		ok = s.Over || gone || mine && s.Owner.Ballot == 0 && s.Here == none ||
			s.Ended && s.Here != live && s.Looked && (s.Found == deleted || s.Found == none && !s.Silent)
	case relay, ask:
		ok = !mine && !s.Ended && s.Up && s.Owner.Owner.Gateway != s.Me.Gateway
	case look:
		ok = s.Ended && !s.Looked
	case wait:
		ok = !s.Late || !s.Soon
	case minority:
		ok = s.Soon && (!s.Gate || s.Me.Incarnation == 0)
	case unreachable, missing:
		ok = s.Late
	}
	if !ok {
		t.Errorf("%+v: %d", s, s.next())
	}
}
