package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Leadership is an operator's order that a region shall lead.
type Leadership struct {
	Region string
	// Attest says that the operator vouches for the other side being off. Without a quorum nothing else
	// can make the region lead.
	Attest bool
	By     string
}

// Agreement is what comparing the gateways gave.
type Agreement struct {
	// Agreed says that every gateway of the roster was reached and has the same state, and that no copies of sessions
	// differ.
	Agreed bool `json:"agreed"`
	// Index is the entry of the log up to which they were compared.
	Index   uint64     `json:"index"`
	Replies []Compared `json:"gateways"`
	// Copies is what comparing the copies of sessions gave, by the gateway that compared its own with the others'.
	Copies []ComparedCopies `json:"copies"`
	// Dropped are the sessions whose last changes were dropped, as gateways report since they were started. Only reconcile
	// gathers them.
	Dropped     []Dropped `json:"dropped"`
	DroppedMore uint64    `json:"dropped_more"` // that are only counted
}

// ComparedCopies is what one gateway found when it compared its copies of sessions.
type ComparedCopies struct {
	Gateway string     `json:"gateway"`
	Records int        `json:"records"` // there
	Agrees  bool       `json:"agrees"`
	Differ  []Differed `json:"differ"`
	// Problem says who was not compared, or why nobody was; "" for none.
	Problem string `json:"problem"`
}

// Differed is what the copies of two gateways differ in.
type Differed struct {
	With    string `json:"with"`
	Slots   int    `json:"slots"`   // of 256
	Missing int    `json:"missing"` // records that are missing or older at the gateway that compared
	Ahead   int    `json:"ahead"`   // records that are missing or older at the other
}

// Compared is one gateway's part of an Agreement.
type Compared struct {
	Gateway string `json:"gateway"`
	Reached bool   `json:"reached"` // it has come as far and told its digest
	Applied uint64 `json:"applied"`
	Digest  string `json:"digest"`
	Agrees  bool   `json:"agrees"`
	// Problem says why it was not reached or does not agree, and what to do; "" for none.
	Problem string `json:"problem"`
}

// Errors of Control's functions that have an answer of their own; their text is shown.
var (
	// ErrNoQuorum: there is no leader, or this side is a minority. Nothing was changed.
	ErrNoQuorum = errors.New("the control group has no quorum here")
	// ErrNeedsAttest: only the operator's word that the other side is off can do it.
	ErrNeedsAttest = errors.New("the control group has no quorum here, and nothing shows that the other side is off")
	// ErrBadSnapshot: it is no snapshot, is damaged, or was written by a newer release. Nothing was changed.
	ErrBadSnapshot = errors.New("the snapshot cannot be restored")
)

// attestHint tells the way out of ErrNeedsAttest.
const attestHint = `. Make sure that every gateway outside the region is off and stays off, then repeat the order with` +
	` --i-attest-the-other-side-is-off (over HTTP: {"region":"...","attest":true})`

// orderLimit bounds what an order to the control group may take.
const orderLimit = 30 * time.Second

// lead takes {"region":"...","attest":true} and answers the cluster as it is then.
func lead(c *Control) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Region string
			Attest bool
		}
		problem := readJSON(r, &body, `send {"region":"...","attest":false} and nothing else`)
		if problem == "" && (body.Region == "" || len(body.Region) > maxRegion) {
			problem = "region must be the name of a region"
		}
		if problem != "" {
			writeError(w, http.StatusBadRequest, "bad_order", problem)
			return
		}
		// Half of a recovery is worse than none: a client that leaves does not stop it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), orderLimit)
		defer cancel()
		if err := c.Lead(ctx, Leadership{Region: body.Region, Attest: body.Attest, By: who(r)}); err != nil {
			refuseControl(w, err)
			return
		}
		writeJSON(w, http.StatusOK, graded(c.settled(ctx), time.Now()))
	}
}

// Leadership that moves leaves a moment without a leader, and a recovery one without an open gate.
const (
	settleLimit = 5 * time.Second
	settleEvery = 100 * time.Millisecond
)

// settled returns the cluster once it is known who leads and this gateway may write, or as it is when that takes long:
// an operator should see what came of an order, not the moment after it.
func (c *Control) settled(ctx context.Context) Cluster {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		now := c.Cluster()
		if now.Leader != "" && (now.Gate.Open || now.role() == RoleWitness) {
			return now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return now
		}
	}
}

// maxRegion bounds a region's name, in bytes.
const maxRegion = 255

// agreement answers what reconcile or verify found.
func agreement(run func(context.Context) (Agreement, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), orderLimit)
		defer cancel()
		a, err := run(ctx)
		if err != nil {
			refuseControl(w, err)
			return
		}
		a.Replies, a.Copies = append([]Compared{}, a.Replies...), append([]ComparedCopies{}, a.Copies...)
		a.Dropped = append([]Dropped{}, a.Dropped...)
		for i := range a.Copies {
			a.Copies[i].Differ = append([]Differed{}, a.Copies[i].Differ...)
		}
		slices.SortFunc(a.Replies, func(a, b Compared) int { return strings.Compare(a.Gateway, b.Gateway) })
		writeJSON(w, http.StatusOK, a)
	}
}

// retryAfter is how long a client should wait for a quorum, in seconds: an election takes less.
const retryAfter = "1"

func refuseControl(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrNeedsAttest):
		writeError(w, http.StatusConflict, "needs_attestation", err.Error()+attestHint)
	case errors.Is(err, ErrNoQuorum):
		w.Header().Set("Retry-After", retryAfter)
		writeError(w, http.StatusServiceUnavailable, "no_quorum", err.Error())
	case errors.Is(err, ErrBadSnapshot):
		writeError(w, http.StatusBadRequest, "bad_snapshot", err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		writeError(w, http.StatusGatewayTimeout, "unknown_outcome", "this took too long; it may still happen: look at /v1/cluster before you repeat it")
	default:
		refuseOrder(w, err)
	}
}

// readJSON fills into with the one JSON object of a request, or returns what is wrong with it.
func readJSON(r *http.Request, into any, want string) string {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "send the order as Content-Type: application/json"
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return want
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "send one JSON object and nothing behind it"
	}
	return ""
}

// patient gives a request this long in place of the listener's bounds. Without it the end of the listener's time for
// reading would end the request's context too (net/http reads on in the background).
func patient(limit time.Duration, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		until := time.Now().Add(limit)
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetReadDeadline(until), c.SetWriteDeadline(until.Add(writeTimeout))); err != nil {
			refuseControl(w, err)
			return
		}
		h(w, r)
	}
}

// single lets one request through at a time and refuses others meanwhile, so that impatient operators do not pile up
// orders, or snapshots in memory.
func single(h http.HandlerFunc) http.HandlerFunc {
	var running sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		if !running.TryLock() {
			writeError(w, http.StatusConflict, "busy", "the same order is being carried out for somebody else; try again when it is done")
			return
		}
		defer running.Unlock()
		h(w, r)
	}
}
