package history

import "slices"

// sealed judges changes of the rule by the epochs that effects carry, each of which tells what its gateway had applied
// of the log: once anybody writes under the new rule alone, nobody may write under the old one alone. Lines cannot tell
// that, since a lease outlives the line that it came over. A change that moves the promise alone begins no epoch and
// asks for the same voters: nobody writes under it, and it is left out.
func (j *judge) sealed() {
	for _, s := range j.Sealings {
		if !j.entered(s) {
			continue
		}
		began := Effect{At: -1}
		for _, e := range j.byTime {
			switch {
			case began.At < 0 && e.Fence >= s.Finished:
				began = e
			case began.At >= 0 && e.Fence < s.Began && e.At > began.At+j.slack(e.At) && !j.pastGate(e):
				j.report(Exclusive, e.At, "%s wrote under the rule before entry %d although %s had written under that of entry %d at %s",
					e.Gateway, s.Began, began.Gateway, s.Finished, seconds(began.At))
			}
		}
	}
}

// entered reports whether anybody wrote under a change, or right after it.
func (j *judge) entered(s Sealing) bool {
	return slices.ContainsFunc(j.byTime, func(e Effect) bool { return e.Fence == s.Began || e.Fence == s.Finished })
}
