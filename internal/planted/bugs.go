package planted

// The bugs. Each leaves out one clause of the protocol in "The way of authority" or "The way of a session" in the
// design.
const (
	Promise  = "promise"  // a voter confirms barriers without waiting for what it has promised
	BootWait = "bootwait" // a voter that starts does not wait for what an earlier process has promised
	Fsync    = "fsync"    // a voter acts by promises, log and vote that its disk may still forget: nothing is synced
	Untagged = "untagged" // a gate counts acks of any version of the rule
	Lease    = "lease"    // a gate stays open for ten seconds longer than its acks say
	Recheck  = "recheck"  // a write is not checked again before its attempts
	Epoch    = "epoch"    // writes name an epoch that no node refuses
	PreVote  = "prevote"  // a server that was cut off asks for votes at once when it returns
	Amnesia  = "amnesia"  // a voter whose store comes back empty goes on as the same voter
	Alone    = "alone"    // a gateway that hears nobody takes itself for a fleet of one
	Hasty    = "hasty"    // a change of a session is answered before the control group has agreed on it
	Ballot   = "ballot"   // a gateway that promised to refuse a ballot keeps copies under it
	First    = "first"    // of the copies of a record the first one found is taken for the newest
	Squatter = "squatter" // a gateway serves a session of which it has a copy, without a claim
	Rooted   = "rooted"   // sessions stay where they were kept when another strategy is chosen, and nobody looks there
)

// All returns them.
func All() []string {
	return []string{Promise, BootWait, Fsync, Untagged, Lease, Recheck, Epoch, PreVote, Amnesia, Alone, Hasty, Squatter, Rooted, Ballot, First}
}
