package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/quorate/quorate/internal/settings"
)

// Voters are the voters of the control group.
type Voters interface {
	// List returns them by name.
	List() []Voter
	// Put makes a gateway or a witness of the fleet a voter, once it has caught up, or changes what the roster says
	// of it. Condition is about Voter.Revision. Errors: ErrVoterRefused, ErrNoVoter for one that never joined, and
	// ErrPrecondition, ErrNoQuorum, ErrUnknownOutcome.
	Put(ctx context.Context, c VoterChange) (Voter, error)
	// Remove takes a voter's vote away.
	Remove(ctx context.Context, c VoterChange) error
}

// Voter is one voter. Its JSON keys are a contract with scripts: add, never rename.
type Voter struct {
	Name string `json:"name"`
	// Role is "voter" or "witness".
	Role   string `json:"role"`
	Region string `json:"region"`
	// Revision is the ETag: the entry of the log that last changed the voter.
	Revision uint64 `json:"revision"`
}

// VoterChange is what a request wants of a voter.
type VoterChange struct {
	Name      string
	Role      string // "voter" or "witness"; of no meaning to Remove
	Region    string // "": the one that it joined from
	Declared  int    // how many voters there are to be in the end, at most 32; 0: what is declared already
	Condition settings.Condition
	By        string // who wants it, for the log
}

// Errors of changes of voters.
var (
	ErrNoVoter      = errors.New("there is no such voter")
	ErrVoterRefused = errors.New("the change of voters is refused")
)

const votersKind = "voters"

func voterRoutes(v Voters) map[string]*route {
	return map[string]*route{
		settingPrefix + votersKind: get(false, listVoters(v)),
		settingPath(votersKind): newRoute(false, map[string]http.Handler{
			http.MethodGet: oneVoter(v), http.MethodHead: oneVoter(v), http.MethodPut: putVoter(v), http.MethodDelete: removeVoter(v),
		}),
	}
}

func listVoters(v Voters) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string][]Voter{votersKind: append([]Voter{}, v.List()...)})
	}
}

func oneVoter(v Voters) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, name, _ := settingIn(r.URL.Path)
		all := v.List()
		i := slices.IndexFunc(all, func(v Voter) bool { return v.Name == name })
		if i < 0 {
			refuseSetting(w, ErrNoVoter)
			return
		}
		if unchanged(r, all[i].Revision) {
			w.Header().Set("ETag", etag(all[i].Revision))
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answerVoter(w, all[i])
	}
}

func answerVoter(w http.ResponseWriter, v Voter) {
	w.Header().Set("ETag", etag(v.Revision))
	writeJSON(w, http.StatusOK, v)
}

func putVoter(v Voters) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		change, ok := readVoterChange(w, r)
		if !ok {
			return
		}
		body, ok := readDocument(w, r)
		if !ok {
			return
		}
		if err := change.read(body); err != nil {
			refuseSetting(w, err)
			return
		}
		ctx, cancel := changing(r)
		defer cancel()
		voter, err := v.Put(ctx, change)
		if err != nil {
			refuseSetting(w, err)
			return
		}
		answerVoter(w, voter)
	}
}

func removeVoter(v Voters) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		change, ok := readVoterChange(w, r)
		if !ok {
			return
		}
		ctx, cancel := changing(r)
		defer cancel()
		if err := v.Remove(ctx, change); err != nil {
			refuseSetting(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func readVoterChange(w http.ResponseWriter, r *http.Request) (VoterChange, bool) {
	c, ok := readChange(w, r, "")
	return VoterChange{Name: c.Name, Condition: c.Condition, By: c.By}, ok
}

// maxDeclared bounds the voters that are declared.
const maxDeclared = 32

// maxVoterName bounds names, in bytes.
const maxVoterName = 64

// read takes {"role":"voter|witness","region":"...","declared":3}.
func (c *VoterChange) read(body []byte) error {
	bad := func(attribute, problem, write string) error {
		return &BadSetting{[]SettingProblem{{attribute, problem, write}}}
	}
	var to struct {
		Role, Region string
		Declared     int
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&to); err != nil {
		return bad("document", "is not a voter", `{"role":"voter|witness","region":"...","declared":3} and nothing else`)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return bad("document", "goes on behind the object", "one JSON object")
	}
	switch {
	case to.Role != "voter" && to.Role != "witness":
		return bad("role", "is neither voter nor witness", "voter or witness")
	case len(to.Region) > maxVoterName:
		return bad("region", "is not a name", "the name of a region, or nothing")
	case len(c.Name) > maxVoterName:
		return bad("name", "is not a name", "the name of a gateway or witness")
	}
	if to.Declared < 0 || to.Declared > maxDeclared {
		return bad("declared", "is no number of voters", "how many voters there are to be in the end, such as 3")
	}
	c.Role, c.Region, c.Declared = to.Role, to.Region, to.Declared
	return nil
}
