package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/quorate/quorate/internal/settings"
)

// Settings are the run-time settings as this gateway knows them: those of its file, which can only be read here, and
// those that the control group agreed on.
type Settings interface {
	// Get returns one setting; ErrNoSetting.
	Get(kind settings.Kind, name string) (Setting, error)
	// List returns the settings of a kind, those of the file first.
	List(kind settings.Kind) []Setting
	// Put sets one, and answers once the fleet has agreed and this gateway follows. Errors: a *BadSetting and those
	// below.
	Put(ctx context.Context, c SettingChange) (s Setting, created bool, err error)
	// Delete removes one.
	Delete(ctx context.Context, c SettingChange) error
}

// Where a setting comes from.
const (
	SourceFile = "file"
	SourceAPI  = "api"
)

// Setting is one setting. Its JSON keys are a contract with scripts: add, never rename.
type Setting struct {
	Kind settings.Kind `json:"kind"`
	Name string        `json:"name"`
	// Source is "file" or "api"; At is FILE:LINE for the former.
	Source string `json:"source"`
	At     string `json:"at"`
	// Revision is the ETag; 0 for what stands in the file.
	Revision uint64 `json:"revision"`
	// Settings is the document in canonical form.
	Settings json.RawMessage `json:"settings"`
	// InForce says that this gateway follows it as it stands; Problems why not.
	InForce  bool             `json:"in_force"`
	Problems []SettingProblem `json:"problems"`
}

// SettingProblem is one thing wrong with a setting.
type SettingProblem struct {
	Attribute string `json:"attribute"` // dotted, with indexes
	Problem   string `json:"problem"`
	Write     string `json:"write"` // what to write instead
}

// SettingChange is what a request wants of a setting.
type SettingChange struct {
	Kind      settings.Kind
	Name      string
	Body      []byte // JSON; nil for a deletion
	Condition settings.Condition
	By        string // who wants it, for the log
}

// Errors that decide the answer's status. After ErrUnknownOutcome, and after ErrNoQuorum where the quorum was lost while it was
// asked, the change may still happen; after the others nothing has changed.
var (
	ErrNoSetting      = errors.New("there is no such setting")
	ErrInFile         = errors.New("it stands in the file, and can only be changed there")
	ErrInUse          = errors.New("other settings need it")
	ErrNeedsRestart   = errors.New("it cannot change while the service runs")
	ErrFull           = errors.New("there are too many settings")
	ErrPrecondition   = errors.New("it is not at the revision that the request names")
	ErrUnknownOutcome = errors.New("this took too long; it may still happen: read it before you repeat the request")
)

// BadSetting is an error about a document that is wrong in itself or does not fit the others.
type BadSetting struct{ Problems []SettingProblem }

// Error returns every problem on one line.
func (b *BadSetting) Error() string {
	lines := make([]string, len(b.Problems))
	for i, p := range b.Problems {
		lines[i] = p.Attribute + ": " + p.Problem + "; write " + p.Write
	}
	return strings.Join(lines, ". ")
}

// SettingsStatus is what /v1/status says of run-time settings.
type SettingsStatus struct {
	// Revision is that of the newest change that this gateway follows.
	Revision uint64 `json:"revision"`
	// Skipped are those that this gateway does not follow as they stand.
	Skipped []Setting `json:"skipped"`
}
