package authority_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/child"
)

// member is one gateway's or witness's place, through all its lives: addresses, disk and log are the same.
type member struct {
	f                   *fleet
	name, region, role  string
	listen, admin, peer string
	advertise           string // where others reach it: a proxy, say
	expected            []string
	split               string // its own section split_brain; "": the fleet's
	binary              string // its own quorate; "": this tree's
	process             *child.Process
	place               int // of the log, from where a test looks
	log                 *logbook
}

func (m *member) data() string { return filepath.Join(m.f.dir, "data-"+m.name) }
func (m *member) file() string { return filepath.Join(m.f.dir, m.name+".yaml") }

// begin writes the configuration and starts a process; it serves when this returns.
func (m *member) begin() error {
	if err := os.WriteFile(m.file(), []byte(m.document()), 0o600); err != nil {
		return err
	}
	path := binary
	if m.binary != "" {
		path = m.binary
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.f.t.Context()), formed)
	defer cancel()
	p, _, err := m.f.group.Start(ctx, child.Spec{
		Path: path, Args: []string{"serve", "--config", m.file()}, Ready: child.Stderr, ReadyMsg: "serving", Log: m.log,
	})
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", m.name, err, m.log.tail())
	}
	m.process = p
	return nil
}

// kill is SIGKILL; the disk stays.
func (m *member) kill() { m.process.Kill() }

// lose takes the disk.
func (m *member) lose() {
	m.f.t.Helper()
	if err := os.RemoveAll(m.data()); err != nil {
		m.f.t.Fatal(err)
	}
}

// signal stops or wakes the process.
func (m *member) signal(s syscall.Signal) {
	m.f.t.Helper()
	if err := m.process.Signal(s); err != nil {
		m.f.t.Fatal(err)
	}
}

// logbook keeps a member's log.
type logbook struct {
	mu  sync.Mutex
	all []byte
}

// maxLog bounds what is kept, in bytes.
const maxLog = 16 << 20

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) < maxLog {
		l.all = append(l.all, p...)
	}
	return len(p), nil
}

// since returns what was logged after a place, see size.
func (l *logbook) since(place int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.all[place:])
}

func (l *logbook) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

func (l *logbook) tail() string {
	const most = 6000
	all := l.since(0)
	return all[max(0, len(all)-most):]
}

// says waits for words in what is logged after a place, and returns their line.
func (m *member) says(place int, words string) string {
	m.f.t.Helper()
	line := ""
	m.f.await(healed, m.name+" logs "+words, func() bool {
		for l := range strings.Lines(m.log.since(place)) {
			if strings.Contains(l, words) {
				line = strings.TrimSpace(l)
				return true
			}
		}
		return false
	})
	return line
}

// adminClient asks admin listeners, which may be dead or stopped.
func adminClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 40 * time.Second}
}

// ask makes a request to the admin listener.
func (m *member) ask(method, path, kind string, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(context.WithoutCancel(m.f.t.Context()), method, "http://"+m.admin+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	resp, err := adminClient().Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	return resp.StatusCode, answer, err
}

// status is the status of a GET, 0 for no answer.
func (m *member) status(path string) int {
	code, _, err := m.ask(http.MethodGet, path, "", nil)
	if err != nil {
		return 0
	}
	return code
}

// cluster is what /v1/cluster says, empty for no answer.
func (m *member) cluster() (c admin.Cluster) {
	if code, b, err := m.ask(http.MethodGet, "/v1/cluster", "", nil); err == nil && code == http.StatusOK {
		_ = json.Unmarshal(b, &c) // empty, then
	}
	return c
}

// seen is how a member sees another.
func (m *member) seen(name string) admin.Member {
	for _, o := range m.cluster().Gateways {
		if o.Gateway == name {
			return o
		}
	}
	return admin.Member{}
}

// events returns the kinds of the member's events.
func (m *member) events() (kinds []string) {
	_, b, err := m.ask(http.MethodGet, "/v1/events", "", nil)
	var page admin.Events
	if err == nil {
		err = json.Unmarshal(b, &page)
	}
	if err != nil {
		m.f.t.Fatalf("events of %s: %v", m.name, err)
	}
	for _, e := range page.Events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// quorate runs a command of the binary and returns its exit code and what it printed.
func (m *member) quorate(args ...string) (int, string) {
	m.f.t.Helper()
	ctx, cancel := context.WithTimeout(m.f.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		m.f.t.Fatalf("quorate %v: %v", args, err)
	}
	if ended != nil {
		return ended.ExitCode(), string(out)
	}
	return 0, string(out)
}

// operator runs quorate admin against this member.
func (m *member) operator(args ...string) (int, string) {
	m.f.t.Helper()
	return m.quorate(append([]string{"admin", "--address", m.admin}, args...)...)
}
