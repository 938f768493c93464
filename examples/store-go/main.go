// Command store-go is a replication strategy that is a store: it keeps the contents of sessions as files in a folder
// that all gateways reach, such as one of a network file system with locks. It must not decide who owns a session.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

func main() { plugins.ServeReplication(&store{}) }

// store implements strategies.Store over a folder.
type store struct{ folder string }

// Configure implements strategies.Configured. The settings are {"folder": "/path"}.
func (s *store) Configure(_ context.Context, told strategies.Settings) error {
	var settings struct {
		Folder string `json:"folder"`
	}
	if err := json.Unmarshal([]byte(told.JSON), &settings); err != nil || !filepath.IsAbs(settings.Folder) {
		return strategies.Refuse("settings %.200q name no folder; write settings: {folder: /srv/sessions} under plugin", told.JSON)
	}
	s.folder = settings.Folder
	return prepare(s.folder)
}

// Plan implements strategies.Replication.
func (s *store) Plan(_ context.Context, in strategies.PlanInput) (strategies.Plan, error) {
	return strategies.Plan{Class: strategies.Stored, Timeout: in.Timeout, Retries: in.Retries, Spread: strategies.SpreadNone}, nil
}

// Put implements strategies.Store.
func (s *store) Put(ctx context.Context, records []strategies.Record) ([]strategies.Written, error) {
	written := make([]strategies.Written, len(records))
	for i, r := range records {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := s.update(r.Key, func(e *entry) (changes bool) {
			written[i].Outcome, changes = e.standing().Judge(r)
			if changes {
				e.Record, e.Revision = &r, e.Revision+1
				e.Until = max(e.Until, r.Until)
			}
			written[i].Standing, written[i].Revision = e.standing(), e.Revision
			return changes
		})
		if err != nil {
			return nil, err
		}
	}
	return written, nil
}

// Get implements strategies.Store.
func (s *store) Get(ctx context.Context, queries []strategies.Query) ([]strategies.Answer, error) {
	answers := make([]strategies.Answer, len(queries))
	for i, q := range queries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := s.update(q.Key, func(e *entry) bool {
			changes := q.Ballot > e.Promised
			if changes {
				e.Promised, e.Until = q.Ballot, max(e.Until, q.Until)
			}
			answers[i] = e.answer()
			return changes
		})
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// List implements strategies.Store.
func (s *store) List(ctx context.Context, each func(strategies.Head) error) error {
	names, err := filepath.Glob(filepath.Join(s.folder, "*", "*"+suffix))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := read(name)
		if err == nil && e.over() {
			err = s.update(e.Key, func(*entry) bool { return false }) // which removes it, where it is so still
		}
		if err != nil {
			return unavailable(err)
		}
		if a := e.answer(); !a.Found {
			continue
		}
		head := e.Record.Head()
		head.Revision = e.Revision
		if err := each(head); err != nil {
			return err
		}
	}
	return nil
}

// Inspect implements strategies.Store.
func (s *store) Inspect(context.Context) ([]strategies.Finding, error) {
	if err := prepare(s.folder); err != nil {
		return []strategies.Finding{{Subject: "folder", Text: err.Error(), Advice: "give the gateway's user a folder that it can write to"}}, nil
	}
	return []strategies.Finding{{Good: true, Subject: "folder", Text: fmt.Sprintf("%s can be written to", s.folder)}}, nil
}

// entry is what a file holds of one key.
type entry struct {
	Key      string             `json:"key"`
	Record   *strategies.Record `json:"record,omitempty"` // none: a promise alone
	Promised uint64             `json:"promised,omitempty"`
	Revision uint64             `json:"revision,omitempty"`
	Until    int64              `json:"until"` // the later of those of record and promise
}

// over reports whether nothing of it counts any more. One that is new has no end yet.
func (e *entry) over() bool { return e.Until != 0 && e.Until <= time.Now().Unix() }

func (e *entry) standing() strategies.Standing {
	s := strategies.Standing{Promised: e.Promised}
	if r := e.Record; r != nil {
		s.Known, s.Ballot, s.Version, s.Deleted = true, r.Ballot, r.Version, r.Deleted
	}
	return s
}

func (e *entry) answer() strategies.Answer {
	a := strategies.Answer{Promised: e.Promised, Revision: e.Revision}
	if r := e.Record; r != nil && r.Until > time.Now().Unix() {
		a.Found, a.Record = true, *r
	}
	return a
}

// unavailable says of what the folder does that the store cannot be reached now.
func unavailable(err error) error {
	if err == nil || errors.Is(err, strategies.ErrFull) {
		return err
	}
	return fmt.Errorf("%w: %w", strategies.ErrUnavailable, err)
}
