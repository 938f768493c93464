package jetstream

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quorate/quorate/strategies"
)

// headName is the header that has everything of an entry but its contents, so that a list reads headers only.
const headName = "Quorate-Head"

// entry is what the bucket has of one key: a record, a promise, or both.
type entry struct {
	Key      string `json:"-"`
	Known    bool   `json:"known,omitempty"` // there is a record
	Service  string `json:"service,omitempty"`
	Owner    string `json:"owner,omitempty"`
	Ballot   uint64 `json:"ballot,omitempty"`
	Version  uint64 `json:"version,omitempty"`
	Deleted  bool   `json:"deleted,omitempty"`
	Until    int64  `json:"until,omitempty"` // of the record
	Size     int    `json:"size,omitempty"`
	Digest   []byte `json:"digest,omitempty"` // SHA-256 of the contents
	Promised uint64 `json:"promised,omitempty"`
	End      int64  `json:"end,omitempty"` // the later one of the ends of record and promise

	contents []byte
	revision uint64 // sequence in the stream; 0: nothing is kept
}

// standing is the entry as the order of records sees it.
func (e *entry) standing() strategies.Standing {
	return strategies.Standing{Known: e.Known, Ballot: e.Ballot, Version: e.Version, Deleted: e.Deleted, Promised: e.Promised}
}

// take makes a record that of the entry.
func (e *entry) take(r strategies.Record) {
	digest := sha256.Sum256(r.Contents)
	e.Known, e.Service, e.Owner, e.Ballot, e.Version, e.Deleted = true, r.Service, r.Owner, r.Ballot, r.Version, r.Deleted
	e.Until, e.Size, e.Digest, e.contents = r.Until, len(r.Contents), digest[:], r.Contents
	e.End = max(e.End, r.Until)
}

// alive reports whether there is a record whose lifetime is not over.
func (e *entry) alive(now time.Time) bool { return e.Known && e.Until > now.Unix() }

func (e *entry) answer(now time.Time) strategies.Answer {
	a := strategies.Answer{Promised: e.Promised, Revision: e.revision}
	if e.alive(now) {
		a.Found = true
		a.Record = strategies.Record{
			Key: e.Key, Service: e.Service, Owner: e.Owner, Ballot: e.Ballot, Version: e.Version, Deleted: e.Deleted, Until: e.Until, Contents: e.contents,
		}
	}
	return a
}

func (e *entry) head() strategies.Head {
	h := strategies.Head{
		Key: e.Key, Service: e.Service, Owner: e.Owner, Ballot: e.Ballot, Version: e.Version, Deleted: e.Deleted, Until: e.Until,
		Size: e.Size, Revision: e.revision,
	}
	copy(h.Digest[:], e.Digest)
	return h
}

// message is the entry as it is published.
func (e *entry) message(subject string) (*nats.Msg, error) {
	head, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return &nats.Msg{Subject: subject, Header: nats.Header{headName: {string(head)}}, Data: e.contents}, nil
}

// ttl is how long the bucket keeps the entry: whole seconds, one at least, since NATS knows no less.
func (e *entry) ttl(now time.Time) time.Duration {
	return max(time.Duration(e.End-now.Unix())*time.Second, time.Second)
}

// read is the entry of a message. What is over counts as nothing, but its revision is what a writer compares with.
func read(key string, header nats.Header, contents []byte, revision uint64, now time.Time) (entry, error) {
	e := entry{}
	text := header.Get(headName)
	if text == "" { // somebody has deleted the key by hand, or its lifetime is over
		return entry{Key: key, revision: revision}, nil
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return entry{}, fmt.Errorf("jetstream: entry of revision %d: %w", revision, err)
	}
	if e.End <= now.Unix() {
		e = entry{}
	} else {
		e.contents = contents
	}
	e.Key, e.revision = key, revision
	return e, nil
}
