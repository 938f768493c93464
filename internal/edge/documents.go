package edge

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/settings"
)

// takeAgain is how long after a failure run-time settings are tried again, and syncBound how long the group may take to
// say what they are now.
const (
	takeAgain = 3 * time.Second
	syncBound = 5 * time.Second
)

// documents makes the configuration that the gateway runs by out of its file and the run-time settings.
//
// A gateway that starts is behind the group until it has heard of a leader, which it may not for long. So the settings
// that it followed last are on disk, and it goes back from them to older ones, or none, only when the group has said
// that these are the ones.
type documents struct {
	log  *slog.Logger
	kept string // the file with what was followed last; "" without a data_dir
	part *settings.Part
	file atomic.Pointer[config.Config]
	now  atomic.Pointer[followed]

	taking sync.Mutex // held while a configuration is taken over

	mu     sync.Mutex
	parsed map[document]reading
}

// document names a document.
type document struct {
	kind settings.Kind
	name string
}

// reading is what a document was found to say at a revision.
type reading struct {
	revision uint64
	document config.Document
	problems config.Problems // nil: none
}

// followed is what the gateway follows. It never changes.
type followed struct {
	set     *settings.Set
	failed  bool // to be tried again
	misfits map[document]config.Misfit
	next    chan struct{} // closed when there is a newer one
}

func newDocuments(file *config.Config, log *slog.Logger) *documents {
	d := &documents{log: log, part: settings.NewPart(), parsed: make(map[document]reading)}
	d.file.Store(file)
	if file.DataDir != "" {
		d.kept = filepath.Join(file.DataDir, keptFile)
	}
	d.now.Store(&followed{set: d.restore(), next: make(chan struct{})})
	return d
}

// set is the settings to go by: those of the group, or those followed while the group's are behind.
func (d *documents) set() *settings.Set {
	now, group := d.now.Load().set, d.part.Set()
	if group.Revision() < now.Revision() {
		return now
	}
	return group
}

// effective is the configuration that a file and a set of documents make, and what of the documents does not fit.
func (d *documents) effective(file *config.Config, set *settings.Set, running *config.Config) (*config.Config, []config.Misfit) {
	fit, misfits := d.read(set)
	next, more := with(file, fit, running)
	return next, append(misfits, more...)
}

// with is the configuration of a file and the documents that fit it here. One whose replication strategy this machine
// cannot run, such as one whose program is not installed, fits no more than one that contradicts the file.
func with(file *config.Config, fit []config.Document, running *config.Config) (*config.Config, []config.Misfit) {
	next, misfits := file.With(fit, running)
	if runs(next) == nil || runs(file) != nil {
		return next, misfits
	}
	var left []config.Misfit
	fit = slices.DeleteFunc(slices.Clone(fit), func(d config.Document) bool {
		alone, _ := file.With([]config.Document{d}, running)
		err := runs(alone)
		if err != nil {
			left = append(left, config.Misfit{Kind: d.Kind, Name: d.Name, Problems: config.Problems{
				{File: string(d.Kind) + "/" + d.Name, Line: 1, Key: "document", What: "cannot run on this gateway's machine: " + err.Error(), Write: "a strategy that can, or install its program there and have the gateway reload"}}})
		}
		return err != nil
	})
	next, misfits = file.With(fit, running)
	return next, append(left, misfits...)
}

// read decodes the documents of a set. What was read before is remembered: sets differ by few documents.
func (d *documents) read(set *settings.Set) (fit []config.Document, misfits []config.Misfit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := make(map[document]reading, len(d.parsed))
	for _, s := range set.All() {
		name := document{s.Kind, s.Name}
		r, ok := d.parsed[name]
		if !ok || r.revision != s.Revision {
			r = readingOf(s)
		}
		known[name] = r
		if r.problems != nil {
			misfits = append(misfits, config.Misfit{Kind: s.Kind, Name: s.Name, Problems: r.problems})
			continue
		}
		fit = append(fit, r.document)
	}
	d.parsed = known
	return fit, misfits
}

func readingOf(s settings.Document) reading {
	r := reading{revision: s.Revision}
	var err error
	r.document, err = config.ParseDocument(s.Kind, s.Name, s.Body)
	if err != nil && !errors.As(err, &r.problems) {
		r.problems = config.Problems{{File: string(s.Kind) + "/" + s.Name, Line: 1, Key: "document", What: err.Error(), Write: "it anew"}}
	}
	r.document.Created = s.Created
	return r
}

// publish says what is followed from now on, and logs what has changed about what is not.
func (d *documents) publish(set *settings.Set, misfits []config.Misfit) {
	d.follow(set, misfits, false)
}

func (d *documents) follow(set *settings.Set, misfits []config.Misfit, failed bool) {
	next := &followed{set: set, failed: failed, misfits: make(map[document]config.Misfit, len(misfits)), next: make(chan struct{})}
	for _, m := range misfits {
		next.misfits[document{m.Kind, m.Name}] = m
	}
	old := d.now.Swap(next)
	close(old.next)
	for name, m := range next.misfits {
		if was, ok := old.misfits[name]; !ok || was.Problems.Error() != m.Problems.Error() {
			d.log.Warn("run-time setting is not followed here", "kind", string(name.kind), "name", name.name, "cause", m.Problems.Error())
		}
	}
	for name := range old.misfits {
		if _, still := next.misfits[name]; !still {
			d.log.Info("run-time setting is no longer left out here", "kind", string(name.kind), "name", name.name)
		}
	}
}

// failed says that everything that changed since the last success is not followed.
func (d *documents) failed(set *settings.Set, cause error) {
	old := d.now.Load()
	misfits := maps.Clone(old.misfits)
	for _, s := range set.All() {
		if s.Revision > old.set.Revision() {
			misfits[document{s.Kind, s.Name}] = config.Misfit{Kind: s.Kind, Name: s.Name, Problems: config.Problems{
				{File: string(s.Kind) + "/" + s.Name, Line: 1, Key: "document", What: "is not taken over: " + cause.Error(), Write: "what this gateway can run"}}}
		}
	}
	d.follow(set, slices.Collect(maps.Values(misfits)), true)
}

// await waits until a revision is followed, or found not to be; not longer than ctx lives.
func (d *documents) await(ctx context.Context, revision uint64) {
	for {
		now := d.now.Load()
		if now.set.Revision() >= revision {
			return
		}
		select {
		case <-now.next:
		case <-ctx.Done():
			return
		}
	}
}

// takeFile takes a new file over together with the run-time settings, or refuses both and goes on with the old ones.
func (e *Edge) takeFile(file *config.Config) error {
	e.documents.taking.Lock()
	defer e.documents.taking.Unlock()
	return e.take(file, e.documents.set())
}

// take runs by a file and a set of documents from now on, whole or not at all. taking is held.
func (e *Edge) take(file *config.Config, set *settings.Set) error {
	next, misfits := e.documents.effective(file, set, e.cfg.Load())
	if err := e.apply(next); err != nil {
		return err
	}
	e.documents.file.Store(file)
	e.documents.publish(set, misfits)
	return nil
}

// followDocuments takes changed run-time settings over until ctx ends.
func (e *Edge) followDocuments(ctx context.Context) {
	again := time.NewTimer(0) // what the group agreed on while this gateway started
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.documents.part.Changed():
		case <-again.C:
		}
		again.Stop()
		if !e.takeDocuments(ctx) {
			again.Reset(takeAgain)
		}
	}
}

// takeDocuments reports whether there is nothing to try again.
func (e *Edge) takeDocuments(ctx context.Context) bool {
	if e.documents.part.Set().Revision() < e.documents.now.Load().set.Revision() && !e.synced(ctx) {
		return ctx.Err() != nil
	}
	e.documents.taking.Lock()
	set, now := e.documents.part.Set(), e.documents.now.Load()
	if !now.failed && (set == now.set || set.Revision() == 0 && now.set.Revision() == 0) {
		e.documents.taking.Unlock()
		return true
	}
	err := e.take(e.documents.file.Load(), set)
	if err != nil && ctx.Err() == nil {
		e.documents.failed(set, err)
	}
	e.documents.taking.Unlock()
	if err == nil {
		e.documents.keep(set) // a disk that hangs holds nobody up
	}
	return err == nil || ctx.Err() != nil
}

// synced reports whether everything that the group agreed on until now is applied here.
func (e *Edge) synced(ctx context.Context) bool {
	command, err := settings.Sync()
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, syncBound)
	defer cancel()
	_, _, err = e.propose(ctx, settings.PartName, command)
	return err == nil
}
