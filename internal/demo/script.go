package demo

import (
	"fmt"
	"time"
)

// verb is what is done to the world.
type verb uint8

const (
	kill    verb = iota // SIGKILL to a node of at, drawn, with a call in flight
	killAll             // SIGKILL to every node of at
	start               // every node of at that is dead lives again
	slow                // the link between at and to takes rtt
	cut                 // both links of at become black holes
	heal                // they carry again
	crash               // SIGKILL to the gateway of at
	revive              // the gateway of at starts again
)

// deed is one thing that is done to the world.
type deed struct {
	verb   verb
	at, to string
	rtt    time.Duration // slow: the round trip
}

// act is one event with what has to be seen of it.
type act struct {
	name  string // in the table
	says  string // what to look at
	do    []deed
	rest  time.Duration // before then
	then  []deed
	shut  string        // the region whose writes may be refused meanwhile, "" for none
	until []sight       // the act goes on until all were seen at once
	least time.Duration // and at least so long
	most  time.Duration // an act that lasts longer has failed; counted from the last deed
}

// script is what happens, in order. brief is for machines that have to wait for it: the same events
// without the time to watch.
func script(brief bool) []act {
	all := acts()
	for i := range all {
		if brief {
			all[i].least = min(all[i].least, 2*time.Second)
			all[i].rest = min(all[i].rest, 500*time.Millisecond)
		}
	}
	return all
}

// patience bounds what has to be seen of one act.
const patience = 30 * time.Second

func acts() []act {
	return []act{{
		name: "all well", says: "every agent is answered in its own region, and every region may write",
		until: well(),
		least: 8 * time.Second, most: patience,
	}, {
		name: "kill a node in us-east", says: "SIGKILL while it has a call in flight; 2 s later it starts again",
		do: []deed{{verb: kill, at: usEast}}, rest: 2 * time.Second, then: []deed{{verb: start, at: usEast}},
		until: []sight{up{usEast}, answered{usEast, usEast}},
		least: 5 * time.Second, most: patience,
	}, {
		name: "lose all nodes of eu-west", says: "its agents stay at its edge and are answered by us-east, 80 ms away",
		do:    []deed{{verb: killAll, at: euWest}},
		until: []sight{answered{euWest, usEast}, state{euWest, euWest, "off"}},
		least: 8 * time.Second, most: patience,
	}, {
		name: "us-east – eu-west 80 → 250 ms", says: "us-east changes its class at eu-west's edge, ap-south is nearer now",
		do:    []deed{{verb: slow, at: usEast, to: euWest, rtt: 250 * time.Millisecond}},
		until: []sight{class{euWest, usEast, "beyond"}, answered{euWest, apSouth}},
		least: 8 * time.Second, most: patience,
	}, {
		name: "cut ap-south off", says: "its links swallow everything; its own agents go on reading and may not write, eu-west's turn to us-east",
		do:   []deed{{verb: cut, at: apSouth}},
		shut: apSouth,
		until: []sight{answered{euWest, usEast}, answered{apSouth, apSouth},
			gate{apSouth, false}, refused{apSouth}, gate{usEast, true}, gate{euWest, true}, written{usEast}, written{euWest}},
		least: 7 * time.Second, most: patience,
	}, {
		name: "heal all links", says: "ap-south is back and writes again, us-east is 80 ms from eu-west again and changes its class back",
		do:   []deed{{verb: heal, at: apSouth}, {verb: slow, at: usEast, to: euWest, rtt: 80 * time.Millisecond}},
		shut: apSouth,
		until: []sight{class{euWest, usEast, "medium"}, answered{euWest, usEast}, state{euWest, apSouth, "on"}, state{usEast, apSouth, "on"},
			gate{apSouth, true}, written{apSouth}},
		least: 4 * time.Second, most: patience,
	}, {
		name: "start eu-west's nodes", says: "its traffic comes home after the hold-down, bit by bit",
		do:    []deed{{verb: start, at: euWest}},
		until: []sight{up{euWest}, state{euWest, euWest, "on"}, answered{euWest, euWest}},
		least: 8 * time.Second, most: patience,
	}, {
		name: "kill eu-west's gateway", says: "its agents reach us-east at the same address, and their sessions go on there; 3 s later it starts again",
		do: []deed{{verb: crash, at: euWest}}, rest: 3 * time.Second, then: []deed{{verb: revive, at: euWest}},
		until: []sight{up{euWest}, gate{euWest, true}, gate{usEast, true}, gate{apSouth, true}, written{euWest}, written{usEast}, written{apSouth}},
		least: 8 * time.Second, most: patience,
	}}
}

// well is what every later act starts from.
func well() []sight {
	var all []sight
	for _, at := range founders() {
		all = append(all, up{at}, answered{at, at}, gate{at, true}, written{at})
		for _, of := range founders() {
			if of != at {
				all = append(all, reached{at, of})
			}
		}
	}
	return all
}

// String says a deed for the log of events.
func (d deed) String() string {
	switch d.verb {
	case kill:
		return "SIGKILL of a node in " + d.at
	case killAll:
		return "SIGKILL of every node in " + d.at
	case start:
		return "nodes of " + d.at + " start"
	case slow:
		return fmt.Sprintf("link %s – %s: round trip %d ms", d.at, d.to, d.rtt.Milliseconds())
	case cut:
		return "links of " + d.at + " are black holes"
	case crash:
		return "SIGKILL of the gateway of " + d.at
	case revive:
		return "the gateway of " + d.at + " starts"
	default:
		return "links of " + d.at + " carry again"
	}
}
