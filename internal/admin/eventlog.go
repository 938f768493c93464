package admin

import (
	"net/http"
	"strconv"

	"github.com/quorate/quorate/internal/events"
)

// Events is the answer of /v1/events, newest last. Its JSON keys are a contract with scripts: add, never rename.
type Events struct {
	Events []Event `json:"events"`
	// Last is the number of the newest event: ask for what is after it next time.
	Last uint64 `json:"last"`
	// Missed counts events after the one asked for that are forgotten already.
	Missed uint64 `json:"missed"`
	// Began is when this process began to count.
	Began Time `json:"began"`
}

// Event is one authority event of this gateway's memory.
type Event struct {
	Seq     uint64 `json:"seq"`
	At      Time   `json:"at"`
	Kind    string `json:"kind"`
	Gateway string `json:"gateway"`
	Text    string `json:"text"`
}

// eventsAfter answers GET /v1/events?after=SEQ from memory alone.
func eventsAfter(read func(after uint64) events.Page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var after uint64
		if word := r.URL.Query().Get("after"); word != "" {
			n, err := strconv.ParseUint(word, 10, 64)
			if err != nil {
				writeError(w, http.StatusBadRequest, "bad_query", "after must be the number of an event")
				return
			}
			after = n
		}
		page := read(after)
		answer := Events{Events: make([]Event, 0, len(page.Events)), Last: page.Last, Missed: page.Missed, Began: Time{page.Began}}
		for _, e := range page.Events {
			answer.Events = append(answer.Events, Event{e.Seq, Time{e.At}, e.Kind, e.Gateway, e.Text})
		}
		writeJSON(w, http.StatusOK, answer)
	}
}
