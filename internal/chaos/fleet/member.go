package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/testnet"
	"github.com/quorate/quorate/strategies"
)

// Paths of the two services of every gateway: one with a node that only it reaches, one with the node of all.
const (
	Tools  = "/mcp"
	Shared = "/shared"
)

// Member is one gateway and its place.
type Member struct {
	history.Gateway
	fleet   *Fleet
	host    *testnet.Host
	nodes   []*node // its own; none at a witness
	mounted bool    // the data are on a disk of their own

	mu      sync.Mutex
	process *child.Process // of the current or last life
	frozen  bool
	binary  string // of the next life
}

// URL is where agents find a service; they have to dial from Transport.
func (m *Member) URL(path string) string {
	return "http://" + m.host.Addr().String() + agentPort + path
}

// Transport connects from the gateway's own host, so that no fault is between an agent and its gateway.
func (m *Member) Transport() *http.Transport {
	return &http.Transport{DialContext: m.host.DialContext, MaxIdleConnsPerHost: 1, DisableCompression: true}
}

func (m *Member) data() string { return filepath.Join(m.fleet.cfg.Dir, m.Name+".data") }

// start begins a life on the data of the last one.
func (m *Member) start(ctx context.Context) error {
	file := filepath.Join(m.fleet.cfg.Dir, m.Name+".yaml")
	if err := errors.Join(os.MkdirAll(m.data(), 0o700), os.WriteFile(file, []byte(m.document()), 0o600)); err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	log, err := m.fleet.log(m.Name)
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	m.mu.Lock()
	binary := m.binary
	m.mu.Unlock()
	p, _, err := m.host.Group().Start(ctx, child.Spec{
		Path: binary, Args: []string{"serve", "--config", file}, Env: m.fleet.cfg.Env, Ready: child.Stderr, ReadyMsg: "serving", Log: log,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w, and said: %s", m.Name, err, lastWords(log.Name())), log.Close())
	}
	go func() { <-p.Done(); _ = log.Close() }()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process, m.frozen = p, false
	return nil
}

// lastWords is the end of a log.
func lastWords(file string) []byte {
	text, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}
	return text[max(0, len(text)-500):]
}

// life is the process of the current or last life, nil before the first.
func (m *Member) life() *child.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

// kill ends a life as a power cut of the process would.
func (m *Member) kill() {
	m.life().Kill()
	m.fleet.note(history.Change{From: m.Name, Down: true})
}

// upgrade ends a life in order and begins the next one with the binary that is tried.
func (m *Member) upgrade(ctx context.Context) error {
	if err := m.life().Terminate(startTimeout); err != nil {
		return fmt.Errorf("%s ended badly: %w", m.Name, err)
	}
	m.fleet.note(history.Change{From: m.Name, Down: true})
	m.mu.Lock()
	m.binary = m.fleet.cfg.Binary
	m.mu.Unlock()
	return m.restart(ctx)
}

// restart begins the next life.
func (m *Member) restart(ctx context.Context) error {
	m.fleet.note(history.Change{From: m.Name})
	return m.start(ctx)
}

// freeze stops the process as it is.
func (m *Member) freeze() error {
	if err := m.halt(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.frozen = true
	m.fleet.note(history.Change{From: m.Name, Down: true, Stop: true})
	return nil
}

// halt stops the process and waits until all of it stands still. One that has ended is left as it is.
func (m *Member) halt() error {
	if !m.alive() {
		return nil
	}
	return halt(m.life())
}

// halt stops a process and waits until all of it stands still.
func halt(p *child.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return testnet.Await(2*time.Second, "a process stands still", func() bool { return standsStill(p.PID()) })
}

// standsStill reads the state of every thread: a signal reaches one after the other.
func standsStill(pid int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, t := range tasks { // none of a process that has ended
		stat, err := os.ReadFile(t)
		if s := state(stat); err == nil && s != 'T' && s != 'Z' {
			return false
		}
	}
	return true
}

// setClock puts the wall clock of this life off by d.
func (m *Member) setClock(d time.Duration) (err error) {
	last := testnet.Await(5*time.Second, m.Name+" gets another wall clock", func() bool {
		if err = m.halt(); err != nil || !m.alive() {
			return true
		}
		err = setWallClock(m.life().PID(), d)
		_ = m.life().Signal(syscall.SIGCONT) // a process that has ended needs none
		return !errors.Is(err, errInside)
	})
	return errors.Join(err, last)
}

// state is the third field of a stat file; the second is in parentheses and may hold anything.
func state(stat []byte) byte {
	for i := len(stat) - 1; i >= 0; i-- {
		if stat[i] == ')' && i+2 < len(stat) {
			return stat[i+2]
		}
	}
	return 0
}

// thaw lets a frozen process go on.
func (m *Member) thaw() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.frozen {
		m.fleet.note(history.Change{From: m.Name, Stop: true})
		_ = m.process.Signal(syscall.SIGCONT) // a process that has ended needs none
		m.frozen = false
	}
}

// alive reports whether the process runs.
func (m *Member) alive() bool {
	p := m.life()
	if p == nil {
		return false
	}
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

func (m *Member) close() {
	if p := m.life(); p != nil {
		p.Kill()
	}
	m.unmount()
}

// healthy waits until the gateway has verified its own nodes and the common one.
func (m *Member) healthy(ctx context.Context) error {
	if m.Role == strategies.Witness {
		return nil
	}
	door := m.Door()
	defer door.Close()
	return testnet.Await(startTimeout, m.Name+" has verified its nodes", func() bool {
		var s admin.Status
		if _, err := door.Ask(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
			return false
		}
		up := 0
		for _, service := range s.Services {
			for _, n := range service.Nodes {
				if n.Region == m.Region && n.State == "healthy" {
					up++
				}
			}
		}
		return up == len(m.nodes)+1
	})
}
