package doctor

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/regions"
)

func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "-",
		"a  b\n\tc ":             "a b c",
		"\x1b[31mred":            "?[31mred",
		"bad \xff byte":          "bad ? byte",
		"\u202eright to left":    "?right to left",
		strings.Repeat("é", 150): strings.Repeat("é", 98) + "...",
	} {
		if got := cell(text); got != want || len(got) > maxCell {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWorstRowDecides(t *testing.T) {
	for want, all := range map[Status][]Status{OK: {OK, OK}, Warn: {OK, Warn, OK}, Fail: {Warn, Fail, OK, Warn}} {
		var checks []Check
		for _, s := range all {
			checks = append(checks, Check{Status: s})
		}
		if r := newReport(checks); r.Status != want || len(r.Checks) != len(all) {
			t.Errorf("%v: %s, want %s", all, r.Status, want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		345 * time.Microsecond: "0.3ms", 12_345 * time.Microsecond: "12ms", 1234 * time.Millisecond: "1.23s", 61500 * time.Millisecond: "1m1s",
		90*time.Minute + time.Second: "1h30m", 7 * 24 * time.Hour: "7 days",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// What hangs is left behind, and its row says so; what it says later changes nothing.
func TestWhatHangsIsARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		l, released := &ledger{}, make(chan struct{})
		l.begin(place{subject: aboutNode}, "node", "quick").set(OK, "here", "-")
		slow := l.begin(place{subject: aboutDisk}, "data_dir", "slow")
		l.work.Go(func() {
			<-released
			slow.set(OK, "late", "-")
			l.begin(place{subject: aboutNode}, "node", "later").set(OK, "late", "-")
		})
		began := time.Now()
		checks := l.wait(ctx, grace, 2*time.Second)
		if took := time.Since(began); took != 2*time.Second+grace {
			t.Errorf("took %v", took)
		}
		close(released)
		synctest.Wait()
		if len(checks) != 2 || checks[0].What != "data_dir" || checks[0].Status != Fail || checks[0].Got != "no answer within 2s" || checks[1].Status != OK {
			t.Errorf("%+v", checks)
		}
	})
}

func TestNodesAreBounded(t *testing.T) {
	e := newExamination(Options{})
	asked, fulls := 0, 0
	for i := range 2 * maxNodes {
		a := target{service: i}
		ask, full := e.claim(a)
		if again, _ := e.claim(a); again {
			t.Fatal("a node is asked twice")
		}
		if ask {
			asked++
		}
		if full {
			fulls++
		}
	}
	if asked != maxNodes || fulls != 1 {
		t.Errorf("%d asked, %d rows about the rest", asked, fulls)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := writable(dir); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if found, err := existing(filepath.Join(dir, "a", "b")); err != nil || found != dir {
		t.Errorf("%q %v", found, err)
	}
	if err := writable(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := existing(filepath.Join(file, "below")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

func TestPlainly(t *testing.T) {
	_, err := net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	for text, want := range map[string]error{
		refused:             err,
		noAnswer:            context.DeadlineExceeded,
		"no such host a.b":  &net.DNSError{Name: "a.b", IsNotFound: true},
		"something else":    errors.New(`Get "http://x/": something else`),
		"dial: no buffers":  &net.OpError{Op: "dial", Err: errors.New("no buffers")},
		"unexpected answer": errors.New("unexpected answer"),
	} {
		if got := plainly(want); got != text {
			t.Errorf("%v: %q, want %q", want, got, text)
		}
	}
}

func TestPlainHTTPOverANetwork(t *testing.T) {
	for url, want := range map[string]bool{
		"http://127.0.0.1:1/mcp": false, "http://[::1]:1/mcp": false, "http://localhost/mcp": false, "https://192.0.2.1/mcp": false,
		"http://192.0.2.1:1/mcp": true, "http://node.example.com/mcp": true,
	} {
		if afar(url) != want {
			t.Errorf("%s: %v", url, !want)
		}
	}
	if got := shown("https://user:secret@a.example.com/mcp?token=secret"); got != "https://a.example.com/mcp" {
		t.Errorf("shown: %s", got)
	}
	if got := proven(regions.Identity{TLSName: "a.b", SPKI: strings.Repeat("0", 64)}); got != "proven tls_name a.b and spki_sha256 0000000000000..." {
		t.Error(got)
	}
}

func TestTimeoutIsBounded(t *testing.T) {
	for _, d := range []time.Duration{MinTimeout - 1, MaxTimeout + 1, -1} {
		if _, err := Run(t.Context(), Options{Path: "none.yaml", Timeout: d}); err == nil {
			t.Errorf("%v is taken", d)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Options{Path: "none.yaml"}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	r, err := Run(t.Context(), Options{Path: "none.yaml"})
	if err != nil || r.Status != Fail || len(r.Checks) != 1 || r.Checks[0].What != "config" {
		t.Errorf("no file: %+v %v", r, err)
	}
}
