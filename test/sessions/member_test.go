package sessions_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/child"
)

// token opens the admin listeners, which are not on loopback where hosts are apart.
const token = "the-token-of-this-test-fleet-0123456789"

// member is one gateway's or witness's place, through all its lives: addresses, disk and log are the same.
type member struct {
	w                   *world
	name, region, role  string
	at                  *place
	listen, admin, peer string
	binary              string // its own quorate; "": this tree's
	process             *child.Process
	log                 *lines
}

func (m *member) data() string { return filepath.Join(m.w.dir, "data-"+m.name) }
func (m *member) file() string { return filepath.Join(m.w.dir, m.name+".yaml") }

// url is where agents find its service.
func (m *member) url() string { return "http://" + m.listen + "/mcp" }

// begin writes the configuration and starts a process; it serves when this returns.
func (m *member) begin() error {
	if err := os.WriteFile(m.file(), []byte(m.document()), 0o600); err != nil {
		return err
	}
	path := cmp.Or(m.w.setup.binary, binary)
	if m.binary != "" {
		path = m.binary
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.w.t.Context()), formed)
	defer cancel()
	p, _, err := m.at.group.Start(ctx, child.Spec{
		Path: path, Args: []string{"serve", "--config", m.file()}, Env: m.w.setup.env, Ready: child.Stderr, ReadyMsg: "serving", Log: m.log,
	})
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", m.name, err, m.log.tail())
	}
	m.process = p
	return nil
}

// kill is SIGKILL; the disk stays.
func (m *member) kill() { m.process.Kill() }

// stop is SIGTERM, and waits for the end.
func (m *member) stop() {
	m.w.t.Helper()
	if err := m.process.Terminate(20 * time.Second); err != nil {
		m.w.t.Errorf("%s did not stop in order: %v", m.name, err)
	}
}

// signal stops or wakes the process.
func (m *member) signal(s syscall.Signal) {
	m.w.t.Helper()
	if err := m.process.Signal(s); err != nil {
		m.w.t.Fatal(err)
	}
}

// freeze stops the process as it is, and thaw lets it go on.
func (m *member) freeze() { m.signal(syscall.SIGSTOP) }
func (m *member) thaw()   { m.signal(syscall.SIGCONT) }

// ask makes a request to the admin listener.
func (m *member) ask(method, path string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.w.t.Context()), 40*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+m.admin+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	line := m.at.transport(nil)
	line.DisableKeepAlives = true
	resp, err := line.RoundTrip(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	return resp.StatusCode, answer, err
}

// status is the status of a GET, 0 for no answer.
func (m *member) status(path string) int {
	code, _, err := m.ask(http.MethodGet, path, nil)
	if err != nil {
		return 0
	}
	return code
}

// cluster is what /v1/cluster says, empty for no answer.
func (m *member) cluster() (c admin.Cluster) {
	_ = m.read("/v1/cluster", &c) // empty, then
	return c
}

// read reads a path of the admin listener.
func (m *member) read(path string, into any) error {
	code, b, err := m.ask(http.MethodGet, path, nil)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s: %d %.200s", path, code, b)
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	return err
}

// metric is the sum of a metric's samples whose labels hold all of some words; ok says that there is one.
func (m *member) metric(name string, labels ...string) (sum float64, ok bool) {
	_, b, err := m.ask(http.MethodGet, "/metrics", nil)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		rest, is := strings.CutPrefix(line, name)
		if !is || rest == "" || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		fits := true
		for _, l := range labels {
			fits = fits && strings.Contains(rest, l)
		}
		fields := strings.Fields(rest[strings.LastIndex(rest, "}")+1:])
		if v, err := strconv.ParseFloat(fields[0], 64); fits && err == nil {
			sum, ok = sum+v, true
		}
	}
	return sum, ok
}

// operator runs quorate admin against this member, at its own place.
func (m *member) operator(args ...string) (int, string) {
	m.w.t.Helper()
	return m.quorate(append([]string{"admin"}, args...)...)
}

// quorate runs a command of the binary where this member runs; commands of the operator find its admin listener.
func (m *member) quorate(args ...string) (int, string) {
	m.w.t.Helper()
	if len(args) > 0 && args[0] == "admin" {
		args = append([]string{"admin", "--token-file", filepath.Join(m.w.dir, "admin.token")}, args[1:]...)
	}
	return m.at.run([]string{"QUORATE_ADMIN_ADDRESS=" + m.admin}, append([]string{binary}, args...)...)
}
