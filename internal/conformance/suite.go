package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// suiteTimeout bounds one run of the suite, which takes about 3 s.
const suiteTimeout = 3 * time.Minute

// errNoResults means that the suite wrote nothing to compare.
var errNoResults = errors.New("conformance: the suite wrote no results")

// Suite is where the suite's packages are.
type Suite struct {
	Node    string // Node 22
	Modules string // the folder node_modules
}

// Check names one check of one scenario. A scenario may make a check several times.
type Check struct{ Scenario, ID, Name string }

// Outcome is what one run of the suite said.
type Outcome struct {
	// Statuses are those of every time a check was made, in the suite's order: SUCCESS, FAILURE,
	// WARNING, INFO or SKIPPED.
	Statuses map[Check][]string
	// Scenarios counts the scenarios with results.
	Scenarios int
	// Exit is the suite's exit status: 0 when every scored scenario passed.
	Exit int
	// Messages are the suite's words on checks that did not succeed.
	Messages map[Check]string
}

// Count returns how often checks ended with the status.
func (o Outcome) Count(status string) int {
	n := 0
	for _, statuses := range o.Statuses {
		for _, s := range statuses {
			if s == status {
				n++
			}
		}
	}
	return n
}

// Figures is passed/failed as the suite counts them.
func (o Outcome) Figures() string {
	return fmt.Sprintf("%d/%d", o.Count("SUCCESS"), o.Count("FAILURE"))
}

// Run runs one row against url, with the suite's files in dir, which has to be empty.
func (s Suite) Run(ctx context.Context, row Row, url, dir string) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, suiteTimeout)
	defer cancel()
	args := append([]string{
		filepath.Join(s.Modules, row.Package, "dist", "index.js"), "server", "--url", url, "--output-dir", "results",
	}, row.Args...)
	cmd := exec.CommandContext(ctx, s.Node, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Outcome{}, fmt.Errorf("conformance: suite: %w", err)
	}
	o, err := readResults(filepath.Join(dir, "results"))
	if err != nil {
		return Outcome{}, fmt.Errorf("%w; it said:\n%s", err, tail(said.Bytes(), 4000))
	}
	o.Exit = cmd.ProcessState.ExitCode()
	return o, nil
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// stamp is the end of a result folder's name: server-SCENARIO-2026-11-22T22-06-52-334Z.
var stamp = regexp.MustCompile(`-\d{4}-\d\d-\d\dT[0-9-]+Z$`)

// readResults reads the checks.json of every scenario. The suite's output on its terminal is not read:
// its totals hide which check they count.
func readResults(dir string) (Outcome, error) {
	o := Outcome{Statuses: map[Check][]string{}, Messages: map[Check]string{}}
	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	if err != nil || len(files) == 0 {
		return o, errors.Join(errNoResults, err)
	}
	for _, f := range files {
		scenario := filepath.Base(filepath.Dir(f))
		scenario = strings.TrimPrefix(stamp.ReplaceAllString(scenario, ""), "server-")
		if err := o.read(f, scenario); err != nil {
			return o, err
		}
	}
	o.Scenarios = len(files)
	return o, nil
}

func (o Outcome) read(file, scenario string) error {
	body, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("conformance: results: %w", err)
	}
	var checks []struct {
		ID           string `json:"id"`
		Name         string `json:"name"`
		Status       string `json:"status"`
		ErrorMessage string `json:"errorMessage"`
	}
	if err := json.Unmarshal(body, &checks); err != nil {
		return fmt.Errorf("conformance: results: %s: %w", file, err)
	}
	for _, c := range checks {
		check := Check{scenario, c.ID, c.Name}
		o.Statuses[check] = append(o.Statuses[check], c.Status)
		if c.ErrorMessage != "" {
			o.Messages[check] = c.ErrorMessage
		}
	}
	return nil
}
