package host

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// text is a log that keeps everything.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestOutputIsLines(t *testing.T) {
	log := &text{}
	o := &output{to: newSink(Config{Name: "mine", Log: slog.New(slog.NewTextHandler(log, nil))})}
	for _, part := range []string{"one\ntw", "o\n\n  \n[WARN] three\n[odd] four\n[DEBUG] chatter\n", strings.Repeat("x", maxLine+1) + "\nfi", "ve\x1b[31m"} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	o.flush()
	var got []string
	for line := range strings.Lines(log.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), " level=")
		got = append(got, line)
	}
	const tail = " strategy=mine from=plugin"
	want := []string{
		"INFO msg=one" + tail, "INFO msg=two" + tail, "WARN msg=three" + tail, `INFO msg="[odd] four"` + tail,
		"INFO msg=" + strings.Repeat("x", maxLine) + tail, "INFO msg=x" + tail, `INFO msg="five [31m"` + tail,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What a plugin prints after Serve goes to the log, whichever of its files it prints to.
func TestPrintedLinesAreLogged(t *testing.T) {
	log := &text{}
	cfg := config(t, "chats")
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	h := started(t, cfg)
	if _, err := h.Decide(t.Context(), three()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`level=WARN msg="three voters" strategy=chats from=plugin`, `level=INFO msg="on standard output" strategy=chats from=plugin`} {
		until(t, func() error {
			if !strings.Contains(log.String(), want) {
				return fmt.Errorf("no line %s in %s", want, log)
			}
			return nil
		})
	}
}

// TestPrintedFloodIsCut: one that prints without end is heard a little, and decides all the same.
func TestPrintedFloodIsCut(t *testing.T) {
	lines := &counter{}
	cfg := config(t, "prints without end")
	cfg.Log = lines.logger()
	h := started(t, cfg)
	began := time.Now()
	until(t, func() error {
		if _, err := h.Decide(t.Context(), three()); err != nil {
			t.Fatal(err)
		}
		if n := lines.n.Load(); n < logBurst || !lines.lost.Load() || time.Since(began) < 300*time.Millisecond {
			return errors.New("too little is printed")
		}
		return nil
	})
	if most := logBurst + int64(logRate*time.Since(began).Seconds()) + 10; lines.n.Load() > most {
		t.Errorf("%d lines, at most %d", lines.n.Load(), most)
	}
}
