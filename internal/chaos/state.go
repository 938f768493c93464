package chaos

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/chaos/report"
)

// outcome is what came of one run.
type outcome struct {
	Name       string          `json:"name"`
	Print      string          `json:"print"` // of binary and configuration; a run counts only for its own
	Schedule   string          `json:"schedule"`
	Error      string          `json:"error,omitempty"`
	Violations int             `json:"violations"`
	Figures    history.Figures `json:"figures"`
	// Slow: all that is wrong is that something took too long.
	Slow bool `json:"slow,omitempty"`
}

// tooLate is how late a machine may be for its slowness to be the fleet's.
const tooLate = 250 * time.Millisecond

// unsure reports whether the run failed in a way that may be the machine's alone.
func (o outcome) unsure() bool { return !o.passed() && o.Slow && o.Figures.Noise > tooLate }

func (o outcome) passed() bool { return o.Error == "" && o.Violations == 0 }

// state is which runs are done, one a line in a file.
type state struct {
	file  *os.File
	print string
	done  map[string]outcome
}

// openState reads what is done. Failed runs are made again.
func openState(c Campaign) (*state, error) {
	print, err := fingerprint(c.Config)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(c.Dir, "state.jsonl"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	s := &state{file: f, print: print, done: map[string]outcome{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var o outcome
		// A line that was cut is of a run that is not known to be done.
		if json.Unmarshal(lines.Bytes(), &o) == nil && o.Print == print && o.passed() {
			s.done[o.Name] = o
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("chaos: state: %w", err), f.Close())
	}
	return s, nil
}

// has reports whether a run is done and passed.
func (s *state) has(u Unit) bool {
	o, ok := s.done[u.Name]
	return ok && o.Schedule == u.Schedule.String()
}

// fingerprint tells one binary and configuration from another.
func fingerprint(c Config) (string, error) {
	f, err := os.Open(c.Binary)
	if err != nil {
		return "", fmt.Errorf("chaos: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("chaos: %w", err)
	}
	c.Binary = ""
	fmt.Fprintf(sum, "%+v", c)
	return fmt.Sprintf("%x", sum.Sum(nil)[:8]), nil
}

func (s *state) add(o outcome) error {
	o.Print = s.print
	s.done[o.Name] = o
	line, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("chaos: state: %w", err)
	}
	if _, err := s.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("chaos: state: %w", err)
	}
	return nil
}

func (s *state) close() { _ = s.file.Close() }

// page sums up the runs of a campaign. It passes when all are done and nothing is wrong with any.
func (s *state) page(units []Unit) (page string, passed bool) {
	random := len(units) > 0 && strings.HasPrefix(units[0].Name, seedName)
	var t report.Total
	for _, u := range units {
		if s.has(u) {
			o := s.done[u.Name]
			t.Add(o.Name, o.Violations, o.Error, o.Figures)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d of %d runs made, binary and configuration %s, %s\n", t.Runs, len(units), s.print, time.Now().UTC().Format(time.RFC3339))
	b.WriteString(t.Page(random))
	return b.String(), t.Runs == len(units) && t.Failed() == 0
}
