package demo

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/bench/failover"
)

// nameWidth is the width of the column with the events' names.
const nameWidth = 30

// table prints the end of a demo: one line per act.
func (s *screen) table(rows []row, r failover.Result, migrated, retried int64) {
	s.say("")
	s.say("%s %8s %6s %7s %12s %12s   %s", pad("event", nameWidth), "calls", "failed", "refused", "longest wait", "seen after", "whose calls went elsewhere")
	for _, w := range rows {
		took := "–"
		if w.took > 0 {
			took = round(w.took)
		}
		s.say("%s %8d %6d %7d %12s %12s   %s", pad(w.name, nameWidth), w.calls, w.failed, w.refused, round(w.wait), took, abroad(w.went))
	}
	var updates int64
	for _, sub := range r.Subscriptions {
		updates += sub.Updates
	}
	s.say("")
	s.say("%d calls, %d requests sent again, %d sessions moved to another node or region, %d lost; %d subscription updates arrived.",
		r.Calls, retried, migrated, r.SessionsLost, updates)
	s.say("%d of %d calls must not happen twice: %d were cut and answered \"outcome unknown\" (%d had been executed), %d ran twice.",
		r.Once, r.Calls, r.Unknown, r.UnknownExecuted, r.Duplicate)
	s.say("failed: calls that are safe to repeat and got no result. refused: writes of agents whose gateway might not write (-32071).")
	s.say("longest wait: of an agent for a safe answer, from the event or from its sending. seen after: from the last thing done until")
	s.say("the world was as the event says.")
}

// pad fills a text up to a width in characters, not bytes.
func pad(text string, width int) string {
	return fmt.Sprintf("%s%*s", text, max(0, width-utf8.RuneCountInString(text)), "")
}

func round(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}
