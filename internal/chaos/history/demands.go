package history

// demands judges what an episode must not do, beyond what none may.
func (j *judge) demands(e Episode) {
	if e.MostTerms > 0 && e.Terms > e.MostTerms {
		j.report(Terms, e.Heal, "%d changes of the term during %s, at most %d may be", e.Terms, e.Name, e.MostTerms)
	}
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.Outcome == OK || c.Return < e.Start || c.Invoke > e.Heal {
			continue
		}
		switch {
		case e.Calm && c.Kind == Write:
			j.report(Calm, c.Return, "%s left a write %s (%d) during %s", c.Gateway, c.Outcome, c.Code, e.Name)
		case e.Safe && c.Kind == Read:
			j.report(Safe, c.Return, "%s left a read without an answer (%d) during %s: %s", c.Gateway, c.Code, e.Name, c.Text)
		}
	}
	if e.Calm {
		j.epochs(e)
	}
}

// epochs finds new ones: each means that a life was ended or a rule changed.
func (j *judge) epochs(e Episode) {
	var first uint64
	for _, x := range j.byTime {
		if x.At < e.Start || x.At > e.Heal || x.Fence == 0 {
			continue
		}
		if first == 0 {
			first = x.Fence
		}
		if x.Fence != first {
			j.report(Calm, x.At, "epoch %d began during %s", x.Fence, e.Name)
		}
	}
}
