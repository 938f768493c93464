package replica

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/quorate/quorate/internal/peer"
)

// errBadRequest: what was sent is not of this release's form.
var errBadRequest = errors.New("not of the form that this release reads")

// ServeHTTP answers other gateways of the fleet; who asks is known from the certificate.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, ok := peer.From(r.Context())
	if !ok {
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	s.serveFrom(from.Gateway, w, r)
}

func (s *Store) serveFrom(from string, w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	if r.Header.Get(labelHeader) != s.cfg.Label() {
		http.Error(w, "of another cluster", http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.maxBody()))
	if err != nil {
		http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
		return
	}
	answer, err := s.answerTo(r, from, strings.TrimPrefix(r.URL.Path, Path), body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(answer) // the other side left
}

func (s *Store) answerTo(r *http.Request, from, what string, body []byte) ([]byte, error) {
	switch what {
	case "push":
		return s.servePush(body)
	case "fetch":
		return s.serveFetch(r.Context(), from, body)
	case "digest":
		return s.serveDigest(from, body)
	case "list":
		return s.serveList(from, body)
	case "pull":
		return s.servePull(body)
	case "have":
		return s.serveHave(body)
	}
	return nil, errBadRequest
}

// servePush takes a batch. Whoever sends it counts what is taken as a copy.
func (s *Store) servePush(body []byte) ([]byte, error) {
	in := reader{b: body}
	var out refusals
	for at := 0; len(in.b) > 0; at++ {
		one := reader{b: in.text(len(body))}
		rec := one.record(len(body))
		if one.bad || len(one.b) > 0 || !wellNamed(&rec) {
			return nil, errBadRequest
		}
		if f := s.receive(rec, false); f != nil {
			f.At = at
			out.Refused = append(out.Refused, *f)
		}
	}
	return json.Marshal(out)
}

// receive takes another gateway's state of a record if it is newer, and says why not. What is repaired, that is pulled
// from a holder that never promised, counts for nobody, so a promise does not stand against it.
func (s *Store) receive(r Record, repair bool) *refusal {
	if over(r.Until, s.now()) {
		return &refusal{Why: whyOver}
	}
	m := r.mark()
	sl := s.slot(r.Key)
	sl.mu.Lock()
	e := sl.entries[r.Key]
	if f := s.against(e, &r, m, repair); f != nil {
		sl.mu.Unlock()
		if f.Why == whyStale && f.mark() == m {
			return nil // the very state that is here
		}
		return f
	}
	mine := e != nil && e.held() && e.rec.Owner == s.cfg.Gateway && e.rec.Ballot < r.Ballot && r.Owner != s.cfg.Gateway
	var old Outranked
	if mine {
		old = e.outranked()
	}
	e, err := s.set(sl, r, m)
	if err == nil {
		s.answer(sl, r.Key, e)
	}
	sl.mu.Unlock()
	if err != nil {
		return &refusal{Why: whyFull}
	}
	if mine {
		s.cfg.Superseded(old, r.Ballot, r.Owner)
	}
	return nil
}

// against returns what stands against a state; its slot is locked.
func (s *Store) against(e *entry, r *Record, m mark, repair bool) *refusal {
	f := &refusal{}
	if e != nil {
		f.Promised = e.promised
		if e.held() {
			f.Ballot, f.Version, f.Deleted, f.Sum = e.rec.Ballot, e.rec.Version, e.rec.Deleted, e.sum
		}
	}
	switch {
	case !repair && bars(f.Promised, r.Ballot):
		f.Why = whyPromised
	case e != nil && e.held() && !e.mark().below(m):
		f.Why = whyStale
	case len(r.Contents) > s.cfg.MaxRecord:
		f.Why = whyLarge
	case s.disk != nil && s.disk.full.Load() && !r.Deleted:
		f.Why = whyDisk
	default:
		return nil
	}
	return f
}
