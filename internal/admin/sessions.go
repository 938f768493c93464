package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Sessions are the sessions that outlive their gateway. Every function is required.
type Sessions struct {
	// List gathers the answer of /v1/sessions. It asks nobody.
	List func() SessionList
	// One says what is known of a session, by its id or its hash. It may ask the session's owner. ErrNoSession: nothing.
	One func(ctx context.Context, name string) (Session, error)
	// Dropped lists the sessions whose last changes were dropped, the oldest first.
	Dropped func() DroppedList
}

func (s *Sessions) whole() bool { return s.List != nil && s.One != nil && s.Dropped != nil }

// ErrNoSession says that this gateway knows of no such session.
var ErrNoSession = errors.New("this gateway knows of no such session; an id that was deleted or is over is forgotten after a day")

// SessionList is the answer of /v1/sessions. Its JSON keys are a contract with scripts: add, never rename.
type SessionList struct {
	Gateway string `json:"gateway"`
	// Kept says that new sessions outlive this gateway; Reasons say why they do not, or what is not complete yet.
	Kept    bool     `json:"kept"`
	Reasons []string `json:"reasons"`
	// LagMS is the age of the oldest change here that no other gateway has confirmed; 0: there is none.
	LagMS float64 `json:"lag_ms"`
	// States count the records that this gateway owns: synced, pending, syncing, failed.
	States map[string]int `json:"states"`
	// Owners count the sessions that this gateway owns or has copies of.
	Owners []SessionOwner `json:"owners"`
	// Unclaimed are those whose owner has ended and which nobody has asked for since.
	Unclaimed int   `json:"unclaimed"`
	Records   int   `json:"records"` // here, copies of others' among them
	Bytes     int64 `json:"bytes"`
	// Committed are the records that the control group keeps, for services with the strategy quorum.
	Committed      int    `json:"committed"`
	CommittedBytes int    `json:"committed_bytes"`
	Claims         uint64 `json:"claims"` // since the process began, as all that follow
	Relays         uint64 `json:"relays"`
	Releases       uint64 `json:"releases"`
	Lost           uint64 `json:"lost"`    // of which nobody had a copy
	Dropped        uint64 `json:"dropped"` // whose last changes were, see /v1/sessions/dropped
}

// SessionOwner counts a gateway's sessions.
type SessionOwner struct {
	Gateway  string `json:"gateway"`
	Sessions int    `json:"sessions"`
}

// Session is one session. Its JSON keys are a contract with scripts: add, never rename.
type Session struct {
	Session string `json:"session"` // its hash, as in logs
	Service string `json:"service"`
	Owner   string `json:"owner"`
	Life    string `json:"life"`   // of the owner, as gateway#incarnation
	Minter  string `json:"minter"` // the life that its id names
	// Ended says that the owner's life is over: whoever is asked for the session claims it.
	Ended   bool   `json:"ended"`
	Ballot  uint64 `json:"ballot"` // 0: it is still its minter's
	Version uint64 `json:"version"`
	// Revision is that of the strategy's own store; 0: it keeps none, or has not acknowledged anything yet.
	Revision uint64  `json:"revision,omitempty"`
	Deleted  bool    `json:"deleted"`
	Strategy string  `json:"strategy"` // async, quorum or store
	State    string  `json:"state"`    // synced, pending, syncing or failed; "" when the owner could not be asked
	LagMS    float64 `json:"lag_ms"`
	Minted   Time    `json:"minted"`
	Until    Time    `json:"until"` // when the id's lifetime ends
	Copies   []Copy  `json:"copies"`
	Source   string  `json:"source"` // the gateway that says all this
}

// Copy is one gateway's copy of a session.
type Copy struct {
	Gateway string `json:"gateway"`
	Up      bool   `json:"up"`
	Newest  bool   `json:"newest"` // it has confirmed the newest state
	Ballot  uint64 `json:"ballot"`
	Version uint64 `json:"version"`
}

// DroppedList is the answer of /v1/sessions/dropped.
type DroppedList struct {
	Gateway string    `json:"gateway"`
	Dropped []Dropped `json:"dropped"`
	More    uint64    `json:"more"` // that are only counted
}

// Dropped is a session of which a gateway's last changes were dropped: another gateway had claimed it without them.
type Dropped struct {
	Gateway string `json:"gateway"` // that had made the changes
	Session string `json:"session"`
	Service string `json:"service"`
	Changes uint64 `json:"changes"`
	Deleted bool   `json:"deleted"` // the last of them was its end
	Owner   string `json:"owner"`   // that has it now
	At      Time   `json:"at"`
}

const (
	sessionsPath   = "/v1/sessions"
	sessionPrefix  = sessionsPath + "/"
	sessionPath    = sessionPrefix + "{name}"
	droppedPath    = sessionPrefix + "dropped"
	maxSessionName = 512
)

func sessionRoutes(s *Sessions) map[string]*route {
	return map[string]*route{
		sessionsPath: get(false, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, listed(s.List())) }),
		droppedPath:  get(false, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, droppedOf(s.Dropped())) }),
		sessionPath:  get(false, oneSession(s)),
	}
}

// sessionIn returns the session that a path names, "" for none.
func sessionIn(path string) string {
	name, ok := strings.CutPrefix(path, sessionPrefix)
	if !ok || name == "" || strings.Contains(name, "/") || len(name) > maxSessionName {
		return ""
	}
	return name
}

func oneSession(s *Sessions) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		one, err := s.One(r.Context(), sessionIn(r.URL.Path))
		switch {
		case errors.Is(err, ErrNoSession):
			writeError(w, http.StatusNotFound, "unknown_session", ErrNoSession.Error())
		case err != nil:
			writeError(w, http.StatusInternalServerError, "internal", "the session could not be looked up")
		default:
			one.Copies = append([]Copy{}, one.Copies...)
			writeJSON(w, http.StatusOK, one)
		}
	}
}

func listed(l SessionList) SessionList {
	l.Reasons, l.Owners = append([]string{}, l.Reasons...), append([]SessionOwner{}, l.Owners...)
	slices.SortFunc(l.Owners, func(a, b SessionOwner) int { return strings.Compare(a.Gateway, b.Gateway) })
	if l.States == nil {
		l.States = map[string]int{}
	}
	return l
}

func droppedOf(l DroppedList) DroppedList {
	l.Dropped = append([]Dropped{}, l.Dropped...)
	return l
}
