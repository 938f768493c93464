package lastgood

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/atomicfile"
	"github.com/quorate/quorate/internal/logbook"
	"github.com/quorate/quorate/regions"
)

// sample is two services: one with two nodes of one release, each with a URL of its own, one with none.
func sample(seen time.Time) Set {
	seen = seen.UTC().Round(0)
	f := &regions.Facts{Eras: regions.Legacy | regions.Modern, Stateful: true, Versions: []string{"2026-07-28", "2025-11-25"},
		Groups: []string{"tool_servers"}, Tools: map[string]regions.Tool{"look": {ReadOnly: true}, "put <&>": {Idempotent: true}}}
	node := func(id string) Node {
		return Node{Proposal: regions.Proposal{ID: regions.NodeID(id), Service: "search", URL: "https://" + id + ".example.com/mcp", Region: "us-east",
			Source: "consul", Weight: 3, Identity: regions.Identity{TLSName: "*.example.com", SPKI: strings.Repeat("ab", 32)}, Version: "1", Group: "blue"},
			Sources: []string{"consul mcp-search", "dns"}, Facts: f, LastSeen: seen}
	}
	return Set{"search": {node("a"), node("b")}}
}

func open(t testing.TB, dir string, log *logbook.Book) (*Store, Set) {
	t.Helper()
	cfg := Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)}
	if log != nil {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	s, set, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, set
}

func closed(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	want := sample(time.Now().Add(-time.Hour))
	s, set := open(t, dir, nil)
	if len(set) != 0 {
		t.Errorf("%v", set)
	}
	kept := sample(want["search"][0].LastSeen)
	kept["search"] = append(kept["search"], Node{Proposal: regions.Proposal{ID: "never verified"}})
	s.Keep(kept)
	closed(t, s)
	s, set = open(t, dir, nil)
	closed(t, s)
	if diff := cmp.Diff(want, set); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if f := set["search"]; f[0].Facts != f[1].Facts {
		t.Error("nodes of one release do not share their facts")
	}
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestAge(t *testing.T) {
	for what, tc := range map[string]struct {
		seen time.Duration // before now
		used bool
	}{
		"just now":               {0, true},
		"nearly seven days":      {7*24*time.Hour - time.Minute, true},
		"more than seven days":   {7*24*time.Hour + time.Minute, false},
		"by a clock put forward": {-365 * 24 * time.Hour, true},
	} {
		dir, now := t.TempDir(), time.Now()
		s, _ := open(t, dir, nil)
		s.Keep(sample(now.Add(-tc.seen)))
		closed(t, s)
		s, set := open(t, dir, nil)
		closed(t, s)
		if used := len(set["search"]) == 2; used != tc.used || used && set["search"][0].LastSeen.After(time.Now()) {
			t.Errorf("%s: %v", what, set)
		}
	}
}

func encoded(t testing.TB) []byte {
	t.Helper()
	b, err := encode(sample(time.Now()), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every truncation point: all but the last newline is missed.
func TestTruncated(t *testing.T) {
	whole := encoded(t)
	for n := range len(whole) - 1 {
		if set, err := decode(whole[:n], time.Now(), time.Hour); err == nil {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), set)
		}
	}
	t.Logf("%d truncation points", len(whole)-1)
}

// Every bit flipped: the file is refused, or says the same (the case of a key of the frame means nothing to JSON).
func TestFlippedBits(t *testing.T) {
	whole, same := encoded(t), 0
	now := time.Now()
	want, err := decode(whole, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			set, err := decode(b, now, time.Hour)
			if err != nil {
				continue
			}
			if same++; !cmp.Equal(want, set) {
				t.Fatalf("bit %d of byte %d (%q): %v", bit, i, whole[i], set)
			}
		}
	}
	t.Logf("%d bits, %d of which say the same", 8*len(whole), same)
	if same > 20 {
		t.Errorf("%d flips are not noticed", same)
	}
}

func TestBadFile(t *testing.T) {
	good := string(encoded(t))
	for what, text := range map[string]string{
		"empty":              "",
		"cut off":            good[:len(good)/2],
		"of a later program": strings.Replace(good, `"v":1`, `"v":2`, 1),
		"damaged":            strings.Replace(good, "us-east", "us-west", 1),
		"zeros":              strings.Repeat("\x00", 4096),
		"huge":               strings.Repeat(" ", MaxFile) + good,
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, fileName)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var log logbook.Book
			s, set := open(t, dir, &log)
			aside, _ := filepath.Glob(path + ".bad-*")
			if len(set) != 0 || len(aside) != 1 || !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "set aside as") {
				t.Errorf("%v, set aside %v, log %.300s", set, aside, log.String())
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != text {
				t.Errorf("what was set aside is not what was there: %v", err)
			}
			s.Keep(sample(time.Now()))
			closed(t, s)
			s, set = open(t, dir, nil)
			closed(t, s)
			if len(set["search"]) != 2 {
				t.Error("what was kept afterwards does not survive")
			}
		})
	}
}

// A crash in the middle of a write leaves the old file beside a part of the new one.
func TestCrashInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, nil)
	s.Keep(sample(time.Now()))
	closed(t, s)
	left := filepath.Join(dir, fileName+".new")
	if err := os.WriteFile(left, encoded(t)[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	s, set := open(t, dir, nil)
	if len(set["search"]) != 2 {
		t.Errorf("%v", set)
	}
	one := sample(time.Now())
	one["search"] = one["search"][:1]
	s.Keep(one)
	closed(t, s)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the crash left is still there: %v", err)
	}
	s, set = open(t, dir, nil)
	closed(t, s)
	if len(set["search"]) != 1 {
		t.Errorf("%v", set)
	}
}

// A thousand sets within a second are one or two writes; the last one is on disk after Close.
func TestWritesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, _ := open(t, dir, nil)
		writes, last := 0, time.Time{}
		for range 1000 {
			s.Keep(sample(time.Now()))
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			info, err := os.Stat(filepath.Join(dir, fileName))
			if err != nil {
				t.Fatal(err)
			}
			if !info.ModTime().Equal(last) {
				writes, last = writes+1, info.ModTime()
			}
		}
		final := time.Now()
		s.Keep(sample(final))
		closed(t, s)
		if writes < 2 || writes > 3 {
			t.Errorf("%d writes in 10 s", writes)
		}
		s, set := open(t, dir, nil)
		closed(t, s)
		if n := set["search"]; len(n) != 2 || !n[0].LastSeen.Equal(final) {
			t.Errorf("%v", set)
		}
	})
}

// Keep and Close from everywhere at once: whatever is there afterwards is whole.
func TestKeepAndCloseAtOnce(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		s, _, err := Open(Config{Dir: dir, Logger: slog.New(slog.DiscardHandler), Every: time.Microsecond})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 50 {
					s.Keep(sample(time.Now()))
				}
			})
			all.Go(func() { _ = s.Close() })
		}
		all.Wait()
		b, err := atomicfile.Read(filepath.Join(dir, fileName), MaxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed before the first set came
		}
		if _, err = decode(b, time.Now(), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	_, _, err := Open(Config{MaxAge: -1, Every: -1})
	for _, want := range []string{"dir", "logger", "max age", "every"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s: %v", want, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(Config{Dir: filepath.Join(file, "below"), Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a directory below a file was made")
	}
}

func TestTooLargeIsNotWritten(t *testing.T) {
	set := sample(time.Now())
	set["search"][0].Group = strings.Repeat("x", MaxFile)
	if _, err := encode(set, time.Now()); err == nil {
		t.Error("a file was made that cannot be read")
	}
}

// What could not be written to the end is an error of Close.
func TestCannotWriteToTheEnd(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, fileName+".new", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, dir, nil)
	s.Keep(sample(time.Now()))
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "lastgood: save") {
		t.Errorf("%v", err)
	}
	if err := s.Close(); err == nil {
		t.Error("the second Close does not say so")
	}
}

// FuzzDecode: whatever the file says, the loader neither panics nor lets through what is invalid.
func FuzzDecode(f *testing.F) {
	whole := encoded(f)
	f.Add(whole, false)
	f.Add(whole[:len(whole)/2], false)
	for _, body := range []string{`{}`, `{"services":{"a":[{"id":"x","url":"http://h/","facts":0}]}}`,
		`{"facts":[{"eras":1}],"services":{"a":[{"id":"x","url":"http://h/","facts":0,"last_seen":"2026-01-01T00:00:00Z"},{"id":"y","url":"http://h/","facts":-1}]}}`} {
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign { // gets past the checksum
			var err error
			if b, err = framed(b); err != nil {
				return // it is no JSON
			}
		}
		now := time.Now()
		set, err := decode(b, now, time.Hour)
		if err != nil {
			return
		}
		for service, nodes := range set {
			for _, n := range nodes {
				if err := regions.CheckProposal(n.Proposal); err != nil || n.Facts == nil || n.Service != service || n.LastSeen.After(now) {
					t.Errorf("%+v: %v", n, err)
				}
			}
		}
		again, err := encode(set, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode(again, now, time.Hour); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}

// BenchmarkEncode writes out 10,000 nodes of 8 releases with 200 tools each.
func BenchmarkEncode(b *testing.B) {
	set, now := large(), time.Now()
	text, err := encode(set, now)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := encode(set, now); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(text)), "B/file")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decode(text, now, time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func large() Set {
	var releases []*regions.Facts
	for r := range 8 {
		f := &regions.Facts{Eras: regions.Modern, Versions: []string{"2026-07-28"}, Tools: map[string]regions.Tool{}}
		for i := range 200 {
			f.Tools[fmt.Sprintf("release_%d_tool_%d", r, i)] = regions.Tool{ReadOnly: i%2 == 0}
		}
		releases = append(releases, f)
	}
	set := Set{}
	for i := range 10_000 {
		set["search"] = append(set["search"], Node{Proposal: regions.Proposal{ID: regions.NodeID(fmt.Sprintf("search-%d", i)), Service: "search",
			URL: fmt.Sprintf("https://10.0.%d.%d:9000/mcp", i/256, i%256), Region: "us-east", Source: "consul", Weight: 1},
			Sources: []string{"consul mcp-search"}, Facts: releases[i%8], LastSeen: time.Now()})
	}
	return set
}

// Nothing that sources say of a node is forgotten on disk.
func TestEveryFieldOfAProposalIsKept(t *testing.T) {
	now := time.Now().UTC()
	p := regions.Proposal{}
	fill(reflect.ValueOf(&p).Elem())
	p.Service, p.URL, p.Weight = "s", "https://127.0.0.1:1/mcp", 7
	set := Set{"s": {{Proposal: p, Sources: []string{"dns:x"}, Facts: &regions.Facts{Eras: regions.Legacy}, LastSeen: now}}}
	text, err := encode(set, now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(text, now, time.Hour)
	if err != nil || len(got["s"]) != 1 || got["s"][0].Proposal != p {
		t.Errorf("got %+v, %v\nwant %+v", got, err, p)
	}
}

// fill sets every text in v.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Struct:
			fill(f)
		}
	}
}
