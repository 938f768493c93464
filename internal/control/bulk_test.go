package control

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// pile is a bulk: what it was given, one after the other.
type pile struct{ text string }

func (p *pile) Apply(_ uint64, command []byte) ([]byte, error) {
	p.text += string(command)
	return nil, nil
}

func (p *pile) Snapshot() ([]byte, error) { return []byte(p.text), nil }

func (p *pile) Restore(b []byte) error { p.text = string(b); return nil }

func (p *pile) Digest() []byte { return []byte(fmt.Sprint("digest of ", p.text)) }

func (p *pile) Freeze() io.WriterTo {
	if p.text == "" {
		return nil
	}
	return strings.NewReader(p.text)
}

func (p *pile) Thaw(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err == nil {
		p.text = string(b)
	}
	return err
}

// sink takes a snapshot.
type sink struct {
	bytes.Buffer
	cancelled bool
	fail      bool
}

func (s *sink) Write(b []byte) (int, error) {
	if s.fail {
		return 0, errors.New("the disk is full")
	}
	return s.Buffer.Write(b)
}
func (s *sink) Close() error  { return nil }
func (s *sink) Cancel() error { s.cancelled = true; return nil }
func (s *sink) ID() string    { return "" }

func newBulks(t *testing.T, names ...string) (*fsm, map[string]*pile) {
	t.Helper()
	f, _, _ := newState(t)
	piles := map[string]*pile{}
	for _, name := range names {
		piles[name] = &pile{}
		f.parts[name] = piles[name]
	}
	return f, piles
}

func persisted(t *testing.T, s raft.FSMSnapshot) []byte {
	t.Helper()
	to := &sink{}
	must(t, s.Persist(to))
	return to.Bytes()
}

// Bulks go through a snapshot as they were when it was taken; the rest of it is as before.
func TestBulks(t *testing.T) {
	f, piles := newBulks(t, "one", "two", "none")
	for i, entry := range history(t) {
		f.at(uint64(i+1), entry)
	}
	f.at(20, forPart(t, "one", strings.Repeat("1", 3*maxChunk/2)))
	f.at(21, forPart(t, "two", "2"))
	want, err := f.digest()
	must(t, err)
	s, err := f.Snapshot()
	must(t, err)
	f.at(22, forPart(t, "two", "later"))
	b := persisted(t, s)

	g, others := newBulks(t, "one", "two", "none")
	others["none"].text = "to be gone"
	must(t, g.Restore(io.NopCloser(bytes.NewReader(b))))
	got, err := g.digest()
	must(t, err)
	if got != want || others["one"].text != piles["one"].text || others["two"].text != "2" || others["none"].text != "" {
		t.Errorf("%+v, not %+v; two is %q", got, want, others["two"].text)
	}
	if g.at(22, forPart(t, "two", "later")); g.read().index != 22 {
		t.Error(g.read())
	}
	a, err := f.digest()
	must(t, err)
	if got, err = g.digest(); err != nil || got != a {
		t.Errorf("%+v, not %+v, %v", got, a, err)
	}
}

// While there is nothing in a bulk, releases without it read the snapshot.
func TestNoBulks(t *testing.T) {
	f, _ := newBulks(t, "one")
	f.at(1, forPart(t, "sum", "5"))
	s, err := f.Snapshot()
	must(t, err)
	g, part, _ := newState(t)
	if must(t, g.Restore(io.NopCloser(bytes.NewReader(persisted(t, s))))); part.total != 5 {
		t.Error(part.total)
	}
}

// A snapshot that is damaged, or that another release wrote, stops the gateway and does not pass for a state.
func TestBadBulks(t *testing.T) {
	f, _ := newBulks(t, "one")
	f.at(1, forPart(t, "one", "contents"))
	s, err := f.Snapshot()
	must(t, err)
	good := persisted(t, s)
	for name, tc := range map[string]struct {
		b     []byte
		parts []string
		newer bool
	}{
		"another's contents": {bytes.Replace(good, []byte("\x08contents"), []byte("\x08contentS"), 1), []string{"one"}, false},
		"cut in the bulk":    {good[:len(good)-8], []string{"one"}, false},
		"no end":             {good[:len(good)-4], []string{"one"}, false},
		"cut in the image":   {good[:20], []string{"one"}, false},
		"an unknown bulk":    {good, nil, true},
		"a later format":     {bytes.Replace(good, []byte(`"format":2`), []byte(`"format":3`), 1), []string{"one"}, true},
	} {
		g, _ := newBulks(t, tc.parts...)
		if err := g.Restore(io.NopCloser(bytes.NewReader(tc.b))); err == nil || g.read().stuck == nil || errors.Is(err, authority.ErrNewer) != tc.newer {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, piles := newBulks(t, "one")
	must(t, g.Restore(io.NopCloser(bytes.NewReader(good))))
	if piles["one"].text != "contents" {
		t.Errorf("control: %q", piles["one"].text)
	}
	full := &sink{fail: true}
	if s.Persist(full) == nil || !full.cancelled {
		t.Error("a snapshot that could not be written was kept")
	}
}
