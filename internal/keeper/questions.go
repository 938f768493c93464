package keeper

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/peer"
)

// Path is where gateways ask each other for sessions.
const Path = "/quorate/keeper/"

// clusterHeader names the cluster and generation of a question: connections that carry requests have no hello.
const clusterHeader = "Quorate-Cluster"

// maxQuestion and maxAnswer bound what gateways say to each other here, in bytes.
const (
	maxQuestion = 8 << 10
	maxAnswer   = 4 << 20
)

// ServeHTTP answers other gateways of the fleet; who asks is known from the certificate.
func (k *Keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, ok := peer.From(r.Context())
	switch {
	case !ok || r.Method != http.MethodPost:
		http.Error(w, "not for you", http.StatusForbidden)
		return
	case r.Header.Get(clusterHeader) != k.cfg.Label():
		http.Error(w, "of another cluster", http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuestion))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	out, err := k.answer(r.Context(), from.Gateway, strings.TrimPrefix(r.URL.Path, Path), body)
	if err != nil {
		http.Error(w, "no such question in this release", http.StatusBadRequest)
		return
	}
	b, err := json.Marshal(out)
	if err != nil {
		http.Error(w, "no answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // the other side left: it asks again
}

func (k *Keeper) answer(ctx context.Context, from, what string, body []byte) (any, error) {
	switch what {
	case "release":
		var in request
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, askBound)
		defer cancel()
		return k.giveAway(ctx, from, in), nil
	case "reach":
		var in struct{ Gateway string }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		return struct{ Up bool }{k.up(in.Gateway)}, nil
	case "look":
		var in struct{ Record string }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		return k.seen(in.Record)
	case "dropped":
		all, more := k.Dropped()
		return DroppedOf{all, more}, nil
	case "verify", "reconcile":
		ctx, cancel := context.WithTimeout(ctx, compareBound)
		defer cancel()
		return k.compareHere(ctx, what == "reconcile"), nil
	}
	return nil, fmt.Errorf("keeper: no question %.40q", what)
}

// question asks another gateway.
func (k *Keeper) question(ctx context.Context, gateway, what string, in, out any) error {
	if k.cfg.Links == nil {
		return fmt.Errorf("keeper: %s: a fleet of one has nobody to ask", what)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return wrap(what, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://gateway"+Path+what, bytes.NewReader(body))
	if err != nil {
		return wrap(what, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(clusterHeader, k.cfg.Label())
	resp, err := k.cfg.Links.Transport(gateway).RoundTrip(r)
	if err != nil {
		return wrap(what, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("keeper: %s at %s: %w", what, gateway, err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("keeper: %s at %s: %s: %.200s", what, gateway, resp.Status, strings.TrimSpace(string(answer)))
	}
	return wrapped(what, json.Unmarshal(answer, out))
}

func wrapped(what string, err error) error {
	if err == nil {
		return nil
	}
	return wrap(what, err)
}

// compareBound bounds a comparison of copies at one gateway.
const compareBound = 25 * time.Second
