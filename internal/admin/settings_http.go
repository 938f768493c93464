package admin

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/settings"
)

// changeBound is how long the fleet may take to agree on a change.
const changeBound = 10 * time.Second

const settingPrefix = "/v1/"

// settingPath is the path of one setting of a kind; voters are none, and have the same form.
func settingPath(kind string) string { return settingPrefix + kind + "/{name}" }

// settingIn returns the kind and the name that a path of that form names.
func settingIn(path string) (kind, name string, ok bool) {
	path, ok = strings.CutPrefix(path, settingPrefix)
	if !ok {
		return "", "", false
	}
	kind, name, ok = strings.Cut(path, "/")
	return kind, name, ok && name != "" && !strings.Contains(name, "/")
}

// settingRoutes are the paths of run-time settings. The list of regions is another one, which tells more.
func settingRoutes(s Settings) map[string]*route {
	all := map[string]*route{}
	for _, kind := range settings.Kinds() {
		all[settingPath(string(kind))] = newRoute(false, map[string]http.Handler{
			http.MethodGet: oneSetting(s, kind), http.MethodHead: oneSetting(s, kind),
			http.MethodPut: putSetting(s, kind), http.MethodDelete: deleteSetting(s, kind),
		})
		if kind != settings.Regions {
			all[settingPrefix+string(kind)] = get(false, listSettings(s, kind))
		}
	}
	return all
}

func listSettings(s Settings, kind settings.Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string][]Setting{string(kind): wholeSettings(s.List(kind))})
	}
}

func wholeSettings(all []Setting) []Setting {
	out := make([]Setting, len(all))
	for i, s := range all {
		out[i] = s.whole()
	}
	return out
}

// whole is s with an absent list empty.
func (s Setting) whole() Setting {
	s.Problems = append([]SettingProblem{}, s.Problems...)
	return s
}

func oneSetting(s Settings, kind settings.Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, name, _ := settingIn(r.URL.Path)
		found, err := s.Get(kind, name)
		if err != nil {
			refuseSetting(w, err)
			return
		}
		if unchanged(r, found.Revision) {
			w.Header().Set("ETag", etag(found.Revision))
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answerSetting(w, http.StatusOK, found)
	}
}

func answerSetting(w http.ResponseWriter, code int, s Setting) {
	if s.Source == SourceAPI {
		w.Header().Set("ETag", etag(s.Revision))
	}
	writeJSON(w, code, s.whole())
}

func putSetting(s Settings, kind settings.Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		change, ok := readChange(w, r, kind)
		if !ok {
			return
		}
		if change.Body, ok = readDocument(w, r); !ok {
			return
		}
		ctx, cancel := changing(r)
		defer cancel()
		set, created, err := s.Put(ctx, change)
		switch {
		case err != nil:
			refuseSetting(w, err)
		case created:
			answerSetting(w, http.StatusCreated, set)
		default:
			answerSetting(w, http.StatusOK, set)
		}
	}
}

func deleteSetting(s Settings, kind settings.Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		change, ok := readChange(w, r, kind)
		if !ok {
			return
		}
		ctx, cancel := changing(r)
		defer cancel()
		if err := s.Delete(ctx, change); err != nil {
			refuseSetting(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// changing bounds a change. A client that leaves does not stop it: half of a change would be harder to understand.
func changing(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), changeBound)
}

func readChange(w http.ResponseWriter, r *http.Request, kind settings.Kind) (SettingChange, bool) {
	_, name, _ := settingIn(r.URL.Path)
	condition, problem := conditionOf(r)
	if problem != "" {
		writeError(w, http.StatusBadRequest, "bad_condition", problem)
		return SettingChange{}, false
	}
	return SettingChange{Kind: kind, Name: name, Condition: condition, By: who(r)}, true
}

// readDocument reads a request's JSON as bytes: what it means is not the listener's business.
func readDocument(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		writeError(w, http.StatusBadRequest, "bad_setting", "send the setting as Content-Type: application/json")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, settings.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		writeError(w, http.StatusRequestEntityTooLarge, "too_large", "a setting has at most 64 KiB")
		return nil, false
	case err != nil:
		writeError(w, http.StatusBadRequest, "bad_setting", "the request broke off")
		return nil, false
	}
	return body, true
}

// refuseSetting answers why a change did not happen.
func refuseSetting(w http.ResponseWriter, err error) {
	var bad *BadSetting
	if errors.As(err, &bad) {
		writeProblems(w, err.Error(), bad.Problems)
		return
	}
	for _, no := range []struct {
		err  error
		code int
		word string
	}{
		{ErrNoSetting, http.StatusNotFound, "not_found"},
		{ErrNoVoter, http.StatusNotFound, "not_found"},
		{ErrInFile, http.StatusConflict, "in_file"},
		{ErrInUse, http.StatusConflict, "in_use"},
		{ErrNeedsRestart, http.StatusConflict, "needs_restart"},
		{ErrFull, http.StatusConflict, "full"},
		{ErrVoterRefused, http.StatusConflict, "refused"},
		{ErrPrecondition, http.StatusPreconditionFailed, "precondition_failed"},
		{ErrUnknownOutcome, http.StatusGatewayTimeout, "unknown_outcome"},
		{context.DeadlineExceeded, http.StatusGatewayTimeout, "unknown_outcome"},
		{ErrNoQuorum, http.StatusServiceUnavailable, "no_quorum"},
	} {
		if errors.Is(err, no.err) {
			if no.code == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "1") // seconds: an election takes less
			}
			writeError(w, no.code, no.word, err.Error())
			return
		}
	}
	writeError(w, http.StatusInternalServerError, "failed", err.Error())
}

// writeProblems is writeError with the attributes at fault.
func writeProblems(w http.ResponseWriter, message string, problems []SettingProblem) {
	type body struct {
		Code     string           `json:"code"`
		Message  string           `json:"message"`
		Problems []SettingProblem `json:"problems"`
	}
	writeJSON(w, http.StatusBadRequest, struct {
		Error body `json:"error"`
	}{body{"bad_setting", message, problems}})
}
