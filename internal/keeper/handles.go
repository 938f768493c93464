package keeper

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/replica"
)

const (
	// maxHandleLooks bounds the questions to other gateways at one time; a handle beyond is not found.
	maxHandleLooks = 64
	// handleBound bounds one of them.
	handleBound = 500 * time.Millisecond
	// maxPlace bounds what is kept of a handle, in bytes.
	maxPlace = 1 << 10
	// maxLearned bounds the handles that wait to be kept.
	maxLearned = 4096
)

// handle is one that was learned here and is not kept yet.
type handle struct{ service, text, place string }

// Learn keeps where a handle of the modern era, such as a task's id, belongs, for every gateway. It does not block: what
// comes faster than it can be kept is forgotten.
func (k *Keeper) Learn(service, text, place string) {
	if k.cfg.Key() == nil || len(place) > maxPlace {
		return
	}
	select {
	case k.learned <- handle{service, text, place}:
	default:
	}
}

// learn keeps what was learned, until ctx ends.
func (k *Keeper) learn(ctx context.Context) {
	for {
		select {
		case h := <-k.learned:
			k.keepHandle(ctx, h)
		case <-ctx.Done():
			return
		}
	}
}

func (k *Keeper) keepHandle(ctx context.Context, h handle) {
	now, _ := k.cfg.Clock()
	r := replica.Record{
		Key: handleKey(k.cfg.Key(), h.service, h.text), Service: h.service, Owner: k.cfg.Gateway, Version: 1,
		Until: now.Add(sessionid.Lifetime).Unix(), Contents: []byte(h.place),
	}
	if _, known := k.cfg.Store.Get(r.Key); known {
		return // a handle never moves
	}
	if err := k.cfg.Store.Put(ctx, r, 0); err != nil {
		k.log.Debug("a handle is not kept", "cause", err.Error())
	}
}

// Lookup returns where a handle belongs, as far as any gateway that answers knows. It is for handles that this
// gateway does not remember.
func (k *Keeper) Lookup(ctx context.Context, service, handle string) (place string, found bool) {
	key := k.cfg.Key()
	if key == nil {
		return "", false
	}
	name := handleKey(key, service, handle)
	if r, ok := k.cfg.Store.Get(name); ok {
		return string(r.Contents), !r.Deleted
	}
	select {
	case k.handles <- struct{}{}:
		defer func() { <-k.handles }()
	default:
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, handleBound)
	defer cancel()
	f, err := k.cfg.Store.Fetch(ctx, name, 0, "")
	if err != nil || !f.Found || f.Deleted {
		return "", false
	}
	return string(f.Contents), true
}

// handleKey names a handle's record. Handles can be secrets: the name is a keyed hash.
func handleKey(key []byte, service, handle string) replica.Key {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("handle\x00" + service + "\x00" + handle))
	return replica.Key{Kind: replica.Handle, ID: base64.RawURLEncoding.EncodeToString(h.Sum(nil))}
}
