package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// snapshotLimit bounds the transfer of a snapshot with what is done before or after; making one alone has orderLimit.
const snapshotLimit = 2 * time.Minute

// saveSnapshot answers the control group's state.
func saveSnapshot(c *Control) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), orderLimit)
		defer cancel()
		snapshot, err := c.Snapshot(ctx)
		if err == nil && len(snapshot) > MaxSnapshot {
			err = fmt.Errorf("%w: the state has %d bytes, more than the %d that pass here", ErrRefused, len(snapshot), MaxSnapshot)
		}
		if err != nil {
			refuseControl(w, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Length", strconv.Itoa(len(snapshot)))
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(snapshot) // the client left; nobody to tell
	}
}

// restoreSnapshot takes a state in whole before anything is done with it, so that a transfer that breaks off
// changes nothing, and answers the cluster as it is then.
func restoreSnapshot(c *Control) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/octet-stream" {
			writeError(w, http.StatusBadRequest, "bad_order", "send the snapshot as Content-Type: application/octet-stream")
			return
		}
		snapshot, err := io.ReadAll(r.Body)
		if err != nil || len(snapshot) == 0 {
			refuseBody(w, err)
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), snapshotLimit)
		defer cancel()
		if err := c.Restore(ctx, snapshot, who(r)); err != nil {
			refuseControl(w, err)
			return
		}
		cluster(c)(w, r)
	}
}

// refuseBody answers a snapshot that is too large, empty or broken off.
func refuseBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		writeError(w, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("a snapshot has at most %d bytes", large.Limit))
	case err != nil:
		writeError(w, http.StatusBadRequest, "bad_snapshot", "the snapshot broke off")
	default:
		writeError(w, http.StatusBadRequest, "bad_snapshot", "the snapshot is empty")
	}
}
