package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/settings"
)

// settingsAPI serves run-time settings to the admin listener.
type settingsAPI struct{ e *Edge }

// Get implements admin.Settings.
func (a settingsAPI) Get(kind settings.Kind, name string) (admin.Setting, error) {
	if f, ok := a.e.documents.file.Load().At(kind, name); ok {
		return filedSetting(f), nil
	}
	d, ok := a.e.documents.set().Get(kind, name)
	if !ok {
		return admin.Setting{}, fmt.Errorf("%s/%s: %w", kind, name, admin.ErrNoSetting)
	}
	return a.setting(d), nil
}

// List implements admin.Settings.
func (a settingsAPI) List(kind settings.Kind) []admin.Setting {
	var all []admin.Setting
	for _, f := range a.e.documents.file.Load().Filed(kind) {
		all = append(all, filedSetting(f))
	}
	for _, d := range a.e.documents.set().Of(kind) {
		all = append(all, a.setting(d))
	}
	return all
}

func filedSetting(f config.Filed) admin.Setting {
	return admin.Setting{Kind: f.Kind, Name: f.Name, Source: admin.SourceFile, At: f.At, Settings: f.Body, InForce: true}
}

// setting is a document with how it stands here.
func (a settingsAPI) setting(d settings.Document) admin.Setting {
	s := admin.Setting{Kind: d.Kind, Name: d.Name, Source: admin.SourceAPI, Revision: d.Revision, Settings: d.Body}
	now := a.e.documents.now.Load()
	misfit, left := now.misfits[document{d.Kind, d.Name}]
	switch {
	case now.set.Revision() < d.Revision:
		s.Problems = []admin.SettingProblem{{Attribute: "document", Problem: "is not taken over yet", Write: "nothing: read it again"}}
	case left:
		s.Problems = problemsOf(misfit.Problems)
	default:
		s.InForce = true
	}
	return s
}

func problemsOf(all config.Problems) []admin.SettingProblem {
	out := make([]admin.SettingProblem, 0, len(all))
	for _, p := range all {
		out = append(out, admin.SettingProblem{Attribute: p.Key, Problem: p.What, Write: p.Write})
	}
	return out
}

// Put implements admin.Settings.
func (a settingsAPI) Put(ctx context.Context, c admin.SettingChange) (admin.Setting, bool, error) {
	if f, ok := a.e.documents.file.Load().At(c.Kind, c.Name); ok {
		return admin.Setting{}, false, fmt.Errorf("%s/%s: %w: %s", c.Kind, c.Name, admin.ErrInFile, f.At)
	}
	d, err := config.ParseDocument(c.Kind, c.Name, c.Body)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		return admin.Setting{}, false, &admin.BadSetting{Problems: problemsOf(problems)}
	case err != nil:
		return admin.Setting{}, false, err
	}
	old, err := a.compare(c)
	if err != nil {
		return admin.Setting{}, false, err
	}
	d.Created = old.Created
	if string(old.Body) != string(d.Body) {
		if err := a.fits(c, &d); err != nil {
			return admin.Setting{}, false, err
		}
	}
	command, err := settings.Put(c.Kind, c.Name, d.Body, c.Condition)
	if err != nil {
		return admin.Setting{}, false, err
	}
	r, err := a.change(ctx, c, command)
	if err != nil {
		return admin.Setting{}, false, err
	}
	return a.setting(settings.Document{Kind: c.Kind, Name: c.Name, Revision: r.Revision, Body: d.Body}), r.Created, nil
}

// Delete implements admin.Settings. A document that stands in this gateway's file too can be removed: the file's
// remains.
func (a settingsAPI) Delete(ctx context.Context, c admin.SettingChange) error {
	old, err := a.compare(c)
	f, filed := a.e.documents.file.Load().At(c.Kind, c.Name)
	switch {
	case filed && old.Revision == 0:
		return fmt.Errorf("%s/%s: %w: %s", c.Kind, c.Name, admin.ErrInFile, f.At)
	case err != nil:
		return err
	case old.Revision == 0:
		return fmt.Errorf("%s/%s: %w", c.Kind, c.Name, admin.ErrNoSetting)
	}
	if err := a.fits(c, nil); err != nil {
		return err
	}
	command, err := settings.Delete(c.Kind, c.Name, c.Condition)
	if err != nil {
		return err
	}
	_, err = a.change(ctx, c, command)
	return err
}

// compare returns the document as it is now; an error where the change's condition does not hold. The group judges
// it again.
func (a settingsAPI) compare(c admin.SettingChange) (settings.Document, error) {
	d, there := a.e.documents.set().Get(c.Kind, c.Name)
	if c.Condition.Holds(d.Revision, there) {
		return d, nil
	}
	if !there {
		return d, fmt.Errorf("%w: %s/%s is not there", admin.ErrPrecondition, c.Kind, c.Name)
	}
	return d, fmt.Errorf("%w: %s/%s is at revision %d", admin.ErrPrecondition, c.Kind, c.Name, d.Revision)
}

// fits tries a change on this gateway's configuration: d in place of the document of its name, or none with nil.
func (a settingsAPI) fits(c admin.SettingChange, d *config.Document) error {
	docs := a.e.documents
	file, running, set := docs.file.Load(), a.e.cfg.Load(), docs.set()
	all, _ := docs.read(set)
	_, before := with(file, all, running)
	all = slices.DeleteFunc(all, func(o config.Document) bool { return o.Kind == c.Kind && o.Name == c.Name })
	if d != nil {
		d.Created = cmp.Or(d.Created, set.Revision()+1)
		all = append(all, *d)
	}
	_, after := with(file, all, running)
	for _, m := range after {
		switch {
		case m.Kind == c.Kind && m.Name == c.Name && m.Restart:
			return fmt.Errorf("%s/%s: %w: %s; write %s", c.Kind, c.Name, admin.ErrNeedsRestart, m.Problems[0].Key, m.Problems[0].Write)
		case m.Kind == c.Kind && m.Name == c.Name:
			return &admin.BadSetting{Problems: problemsOf(m.Problems)}
		case !slices.ContainsFunc(before, func(o config.Misfit) bool { return o.Kind == m.Kind && o.Name == m.Name }):
			return fmt.Errorf("%s/%s: %w: %s/%s would be left out: %s %s", c.Kind, c.Name, admin.ErrInUse, m.Kind, m.Name, m.Problems[0].Key, m.Problems[0].What)
		}
	}
	return nil
}

// change has the group agree, and waits until this gateway follows.
func (a settingsAPI) change(ctx context.Context, c admin.SettingChange, command []byte) (settings.Result, error) {
	_, answer, err := a.e.propose(ctx, settings.PartName, command)
	if err != nil {
		return settings.Result{}, err
	}
	r, err := settings.DecodeResult(answer)
	switch {
	case errors.Is(err, settings.ErrPrecondition):
		if _, err := a.compare(c); err != nil {
			return settings.Result{}, err
		}
		return settings.Result{}, admin.ErrPrecondition
	case errors.Is(err, settings.ErrUnknown):
		return settings.Result{}, fmt.Errorf("%s/%s: %w", c.Kind, c.Name, admin.ErrNoSetting)
	case errors.Is(err, settings.ErrFull):
		return settings.Result{}, fmt.Errorf("%s/%s: %w: %w", c.Kind, c.Name, admin.ErrFull, err)
	case err != nil:
		return settings.Result{}, err
	}
	if r.Changed {
		a.e.log.Info("run-time setting changed", "kind", string(c.Kind), "name", c.Name, "revision", r.Revision, "removed", c.Body == nil, "by", c.By)
	}
	a.e.documents.await(ctx, a.e.documents.part.Set().Revision())
	return r, nil
}

// settingsStatus is what /v1/status says of run-time settings; nil where there are none.
func (e *Edge) settingsStatus() *admin.SettingsStatus {
	if e.group == nil {
		return nil
	}
	now, set, a := e.documents.now.Load(), e.documents.set(), settingsAPI{e}
	s := &admin.SettingsStatus{Revision: now.set.Revision()}
	for _, d := range set.All() {
		if _, left := now.misfits[document{d.Kind, d.Name}]; left {
			s.Skipped = append(s.Skipped, a.setting(d))
		}
	}
	return s
}
