package authority

import (
	"fmt"
	"time"
)

// node is one machine of the simulation: a gateway, a voter and a place of the log in one process, with clocks
// of its own.
type node struct {
	w    *world
	i    int
	name string
	id   VoterID
	r    raft

	rate   float64 // of its clock against the true one
	offset time.Duration
	life   int           // counts processes; what an earlier one began is dropped
	nonce  string        // of this process
	down   bool          // no process
	until  time.Duration // stopped (SIGSTOP) until then
	asleep bool          // with the whole machine
	unseen bool          // awake again, and the gate has not looked at its clocks yet
	slept  time.Duration
	lag    time.Duration // how far gate and voter may be behind the log
	told   [2]time.Duration

	m      *Machine
	gate   *Gate
	voter  *Voter
	sealer *Sealer

	image   []byte // a snapshot on disk, nil: none
	imageAt Index
	disk    Record   // the synced record
	lost    bool     // no record where the store is
	writing []Record // asked for, not synced
	synced  time.Duration

	heard    map[Life]time.Duration // by the leader's part
	ballots  map[string]Index       // records given away, with the ballot they had
	reported map[string]bool
}

func (n *node) running(now time.Duration) bool { return !n.down && now >= n.until }

// mono is the node's monotonic clock.
func (n *node) mono() time.Duration {
	return n.offset + time.Duration(float64(n.w.now)*n.rate)
}

// clocks is what the gate reads; by then a suspension that is over has been seen.
func (n *node) clocks() Clocks {
	n.unseen = false
	return Clocks{Mono: n.mono(), Boot: n.mono() + n.w.flaws.slept(n)}
}

// suspend has the whole machine stand still, and its monotonic clock with it.
func (n *node) suspend(d time.Duration) {
	if n.down || n.asleep || !n.running(n.w.now) {
		return
	}
	n.asleep, n.until = true, n.w.now+d
	n.w.seen["suspensions"]++
	n.w.at(n.until, func() {
		still := time.Duration(float64(d) * n.rate)
		n.offset, n.slept = n.offset-still, n.slept+still
		n.asleep, n.unseen = false, true
	})
}

// boot starts a process from what is on disk.
func (n *node) boot() {
	n.down = false
	n.life++
	n.nonce = fmt.Sprintf("%s-%d", n.name, n.life)
	n.m, _ = NewMachine(MachineConfig{Rules: n.w.rules})
	n.r.commit, n.r.leading, n.r.heard = 0, false, n.w.now
	if n.image != nil {
		if err := n.m.Restore(n.image); err != nil {
			panic(err)
		}
		n.r.commit = int(n.imageAt)
	}
	n.sealer, n.heard, n.ballots, n.told = NewSealer(), map[Life]time.Duration{}, map[string]Index{}, [2]time.Duration{}
	n.newGate()
	n.writing = nil
	stored := n.disk
	if n.lost {
		stored = n.w.flaws.lostStore(n)
	}
	if stored.Voter == n.id {
		v, err := NewVoter(stored, n.mono())
		if err != nil {
			panic(err)
		}
		n.voter = v
		n.w.flaws.started(n)
	} else {
		n.voter = nil // ErrLostStore: not a voter before it has another store
	}
	n.show()
	n.beat()
	n.tick()
}

func (n *node) newGate() {
	g, err := NewGate(GateConfig{Gateway: n.name, Nonce: n.nonce, Lease: n.w.plan.lease, Margin: n.w.flaws.margin(n.w.plan.margin)})
	if err != nil {
		panic(err)
	}
	n.gate = g
}

// kill ends the process. A record that was being written may or may not have reached the disk.
func (n *node) kill() {
	for _, r := range n.writing {
		if n.w.rng.IntN(2) == 0 {
			break
		}
		n.w.flaws.store(n, r)
	}
	n.down, n.r.leading = true, false
}

// returns makes a voter that lost its store another one, with a store of its own.
func (n *node) returns() {
	n.down = true
	n.id.Store += "'"
	n.disk, n.lost = NewRecord(n.id), false
	n.w.voters = append(n.w.voters, n.id)
	clear(n.w.tables)
	n.boot()
}

// after calls f on this process after d, unless it is gone by then; while it is stopped, f waits.
func (n *node) after(d time.Duration, f func()) {
	life := n.life
	var run func()
	run = func() {
		switch {
		case n.down || n.life != life:
		case n.w.now < n.until:
			n.w.at(n.until, run)
		default:
			f()
		}
	}
	n.w.at(n.w.now+d, run)
}

// advance applies what is committed.
func (n *node) advance() {
	if int(n.m.Index()) >= n.r.commit {
		return
	}
	until := n.r.commit
	if n.lag > 0 {
		until = min(until, int(n.m.Index())+1+n.w.rng.IntN(3)) // a laggard reads the log again slowly, too
	}
	for int(n.m.Index()) < until {
		i := int(n.m.Index())
		n.w.apply(n.m, Index(i+1), n.r.log[i].cmd)
		if n.w.plan.eachView {
			n.show()
		}
	}
	n.show()
	n.w.judgeOwners()
	if n.w.rng.IntN(40) == 0 {
		image, err := n.m.Snapshot()
		if err != nil {
			panic(err)
		}
		n.image, n.imageAt = image, n.m.Index()
	}
}

// show tells sealer, voter and gate what the log says, each in order and as late as it likes.
func (n *node) show() {
	v := n.m.View()
	n.sealer.Apply(v)
	for part := range n.told {
		var d time.Duration
		if n.lag > 0 {
			d = time.Duration(n.w.rng.Int64N(int64(n.lag)))
		}
		n.told[part] = max(n.told[part], n.w.now+d)
		n.after(n.told[part]-n.w.now, func() { n.see(part, v) })
	}
}

func (n *node) see(part int, v View) {
	if part == 0 {
		n.w.flaws.gateApply(n, v)
		n.w.judgeGate(n)
		return
	}
	if n.voter == nil {
		return
	}
	if p := n.voter.Apply(v); p != nil {
		n.write(*p)
	}
}

// write syncs a record in its time, after those before it.
func (n *node) write(p Persist) {
	d := time.Duration(n.w.rng.Int64N(int64(n.w.plan.fsync))) + time.Millisecond
	n.synced = max(n.synced, n.w.now+d)
	n.writing = append(n.writing, p.Record)
	n.w.flaws.asked(n, p)
	n.after(n.synced-n.w.now, func() {
		n.w.flaws.store(n, p.Record)
		n.writing = n.writing[1:]
		n.voter.Persisted(p.Number)
	})
}

// beat sends a heartbeat to every voter, for ever.
func (n *node) beat() {
	n.after(n.w.plan.interval, n.beat)
	h, ok := n.gate.Beat(n.clocks())
	if !ok {
		return
	}
	for _, v := range n.w.nodes[:n.w.n] {
		n.w.send(n.i, v.i, func(v *node) { v.hear(n.i, h) })
	}
}

func (n *node) hear(from int, h Heartbeat) {
	n.heard[h.Life] = n.w.now
	if n.voter == nil {
		return
	}
	a, ok := n.voter.Heartbeat(n.mono(), h)
	if !ok {
		return
	}
	n.w.flaws.acked(n)
	n.w.send(n.i, from, func(g *node) {
		before, open := g.gate.Deadline(), g.open()
		g.w.flaws.gateAck(g, a)
		if g.gate.Deadline() > before {
			g.w.judgeGate(g)
		}
		if !open && g.open() {
			g.w.judgeOwners()
		}
	})
}

// tick does what is due now and then: join, confirm, seal, suspect, claim.
func (n *node) tick() {
	n.after(n.w.plan.tick, n.tick)
	n.join()
	if n.voter != nil {
		for _, c := range n.voter.Confirmations(n.mono()) {
			n.w.send(n.i, n.r.leader, func(l *node) { l.w.flaws.confirm(l, c) })
		}
	}
	if n.r.leading {
		for _, c := range n.w.flaws.proposals(n.sealer) {
			n.propose(c)
		}
		n.suspect()
	}
	if n.allow() {
		n.claim()
	}
}

func (n *node) allow() bool { return n.mono() < n.gate.Deadline() }

// open is whether the gate counts as open. Between the end of a suspension and the next look at the clocks, at most
// one interval later, it may be open in error: that is known, and for nodes that check the fence to stop.
func (n *node) open() bool { return !n.down && !n.asleep && !n.unseen && n.allow() }

// join begins a life when there is none.
func (n *node) join() {
	if n.gate.Ended() {
		n.reborn()
	}
	if n.gate.Life().Incarnation != 0 {
		return
	}
	v := n.m.View()
	if s, ok := v.standing(n.name); ok && s.Fenced == 0 {
		switch {
		case s.Nonce == n.nonce:
		case n.w.plan.leave: // a word in time, as if from the old process, which is dead
			n.propose(Leave{Life: s.Life})
		case s.Suspect == 0: // needs no open gate: after a restart of all there is none
			n.propose(Suspect{Life: s.Life})
		}
		return
	}
	n.propose(Join{Gateway: n.name, Region: "r", Store: n.name, Nonce: n.nonce})
}

// reborn gives a gateway whose life was ended another one: a new process without the restart.
func (n *node) reborn() {
	n.down = true
	n.boot()
}

// suspect is the leader's judgement of who is gone.
func (n *node) suspect() {
	if !n.w.plan.suspect {
		return
	}
	for _, s := range n.m.View().Lives {
		if _, known := n.heard[s.Life]; !known {
			n.heard[s.Life] = n.w.now
		}
		silent := n.w.now - n.heard[s.Life]
		switch {
		case s.Fenced != 0:
		case s.Suspect == 0 && silent > n.w.plan.silence && n.allow():
			n.propose(Suspect{Life: s.Life})
		case s.Suspect == 0 && n.w.rng.Float64() < n.w.plan.slander:
			n.propose(Suspect{Life: s.Life})
		case s.Suspect != 0 && silent < n.w.plan.interval && n.w.rng.IntN(4) == 0:
			n.propose(Clear{Life: s.Life, Suspect: s.Suspect})
		}
	}
}
