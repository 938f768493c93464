package keeper

import "github.com/quorate/quorate/internal/authority"

// held is what is known of a session's contents somewhere.
type held uint8

const (
	none held = iota // no copy
	live
	deleted // for good
)

// situation is what is known of one session at one moment. It is all that a decision rests on.
type situation struct {
	Over  bool            // forged, or the id's own lifetime has ended
	Me    authority.Life  // this gateway's present life; Incarnation 0: none
	Gate  bool            // this gateway may write
	Owner authority.Claim // by the log as it is applied here
	Ended bool            // the owner's life is over
	Up    bool            // the owner's gateway can be asked

	Here     held            // this gateway's copy
	At       authority.Index // its ballot
	Ahead    bool            // somebody knows a higher ballot than the log here does
	Released bool            // this gateway has given the session away under the owner's ballot

	Due   bool // the agent stays here: the owner shall be asked for the session
	Given bool // the owner has released it, under the owner's ballot, for this gateway

	Looked bool // every gateway that can hold a copy was asked, since the owner's life ended
	Found  held // what they said
	Silent bool // some did not answer, and their lives have not ended
	Soon   bool // what comes soon or not at all is not waited for any more
	Late   bool // nothing is
}

// step is what to do next.
type step uint8

const (
	unknown     step = iota // nobody has it, for good
	here                    // this gateway owns it, and holds its contents
	relay                   // to its owner
	ask                     // the owner for a release
	look                    // for copies
	take                    // claim it
	fetch                   // it is claimed, and its contents are elsewhere
	wait                    // for the owner's end, for a link with it, or for leave to write
	minority                // this gateway may not claim, and must not serve what it does not own
	unreachable             // the owner may live, and cannot be asked
	missing                 // somebody who may hold the contents does not answer
)

// next decides. Whatever it says, the log has the last word: a claim that rests on something older than the log is
// refused there.
func (s *situation) next() step {
	if s.Over || s.Here == deleted && s.At >= s.Owner.Ballot {
		return unknown
	}
	switch {
	case s.Me.Incarnation != 0 && s.Owner.Owner == s.Me:
		return s.own()
	case s.At > s.Owner.Ballot:
		return s.ahead(s.Ended)
	case s.Given:
		return s.claim()
	case s.Ended:
		return s.inherit()
	case s.Owner.Owner.Gateway == s.Me.Gateway: // an earlier life of this gateway, whose end is on the way
		return s.patiently(unreachable)
	case !s.Up:
		return s.patiently(unreachable)
	case s.Due:
		return ask
	}
	return relay
}

// own is for a session that is this gateway's by the log.
func (s *situation) own() step {
	switch {
	case s.At > s.Owner.Ballot || s.Ahead:
		return s.ahead(true)
	case s.Released: // to somebody who has not come for it
		return s.claim()
	case s.Here == live && s.At == s.Owner.Ballot:
		return here
	case s.Owner.Ballot == 0: // of this very life, and never kept
		return unknown
	}
	return fetch
}

// ahead is for a session that somebody has claimed, as the log here will say in a moment. If it does not, then either it
// stands still, and refuses a claim, or it has been forced, and that claim went with the side that was off: then this
// gateway claims anew, until its ballot is above the lost one.
func (s *situation) ahead(may bool) step {
	if may && s.Soon {
		return s.claim()
	}
	return s.patiently(unreachable)
}

// inherit is for a session whose owner's life is over.
func (s *situation) inherit() step {
	switch {
	case s.Here == live:
		return s.claim()
	case !s.Looked && s.Late: // another round would outlast whoever waits
		return missing
	case !s.Looked:
		return look
	case s.Found == live:
		return s.claim()
	case s.Found == deleted || !s.Silent:
		return unknown
	}
	return s.patiently(missing)
}

// claim needs leave to write and a life to claim with.
func (s *situation) claim() step {
	if s.Gate && s.Me.Incarnation != 0 {
		return take
	}
	if s.Soon {
		return minority
	}
	return wait
}

func (s *situation) patiently(last step) step {
	if s.Late {
		return last
	}
	return wait
}
