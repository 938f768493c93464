package host

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/plugins"
	strategyv1 "github.com/quorate/quorate/plugins/v1"
	"github.com/quorate/quorate/strategies"
)

func TestGoodPluginDecides(t *testing.T) {
	h := started(t, config(t, "good"))
	r, err := h.Decide(t.Context(), three())
	if err != nil || r.String() != "2 of (gw-1, gw-2, gw-3)" {
		t.Errorf("%v, %v", r, err)
	}
	if s := h.Status(); s.Protocol != 1 || s.Restarts != 0 || s.Breaker != "closed" || !child.Alive(s.PID) {
		t.Errorf("%+v", s)
	}
	if _, err := h.Decide(t.Context(), strategies.Input{}); err == nil {
		t.Error("an invalid input is asked about")
	}
}

// TestBadAnswers: whatever a plugin says, the host has a typed error for it, and the plugin is asked again.
func TestBadAnswers(t *testing.T) {
	for kind, want := range map[string]error{
		"refuses":   strategies.ErrRefused,
		"fails":     ErrFailed,
		"two sides": ErrInadmissible,
		"strangers": ErrInadmissible,
		"nonsense":  ErrInadmissible,
		"crashes":   ErrFailed,
		"panics":    ErrFailed,
		"1 GiB":     ErrFailed,
	} {
		t.Run(kind, func(t *testing.T) {
			h := started(t, config(t, kind))
			_, err := h.Decide(t.Context(), three())
			if !errors.Is(err, want) || len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\x1b\x00") {
				t.Errorf("%v, want %v", err, want)
			}
			t.Log(err)
			var split *strategies.SplitError
			var strangers *strategies.Strangers
			switch {
			case kind == "two sides" && !errors.As(err, &split), kind == "strangers" && !errors.As(err, &strangers):
				t.Errorf("%v does not say what is wrong", err)
			case kind == "1 GiB" && !strings.Contains(err.Error(), "larger than"):
				t.Errorf("%v does not say that it is too large", err)
			}
		})
	}
}

func TestLateDecision(t *testing.T) {
	cfg := config(t, "hangs")
	cfg.Decide = 50 * time.Millisecond
	h := started(t, cfg)
	begin := time.Now()
	_, err := h.Decide(t.Context(), three())
	if took := time.Since(begin); !errors.Is(err, ErrLate) || took > time.Second {
		t.Errorf("%v after %s", err, took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Decide(ctx, three()); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller gave up: %v", err)
	}
}

// TestBreakerOpens: after three failures in a row the plugin is left alone.
func TestBreakerOpens(t *testing.T) {
	h := started(t, config(t, "two sides"))
	for range 3 {
		if _, err := h.Decide(t.Context(), three()); !errors.Is(err, ErrInadmissible) {
			t.Fatal(err)
		}
	}
	if _, err := h.Decide(t.Context(), three()); !errors.Is(err, ErrDown) || h.Status().Breaker != "open" {
		t.Errorf("%v, breaker %s", err, h.Status().Breaker)
	}
}

func TestKilledPluginIsRestarted(t *testing.T) {
	h := started(t, config(t, "good"))
	first := h.Status().PID
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, func() error {
		if s := h.Status(); s.State != Running || s.PID == first {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	if _, err := h.Decide(t.Context(), three()); err != nil || h.Status().Restarts == 0 {
		t.Errorf("%v, %+v", err, h.Status())
	}
}

// TestStoppedPluginIsKilled: a process under SIGSTOP answers nothing, and does not end when it is asked to.
func TestStoppedPluginIsKilled(t *testing.T) {
	cfg := config(t, "good")
	cfg.Decide = 50 * time.Millisecond
	h := started(t, cfg)
	first := h.Status().PID
	begin := time.Now()
	if err := syscall.Kill(first, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, func() error { // the signal is under way for a moment
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", first))
		if err == nil && !strings.Contains(string(stat), ") T ") {
			err = errors.New("it is not stopped")
		}
		return err
	})
	if _, err := h.Decide(t.Context(), three()); !errors.Is(err, ErrLate) {
		t.Errorf("a stopped plugin: %v", err)
	}
	until(t, func() error {
		if child.Alive(first) {
			return fmt.Errorf("%d is alive", first)
		}
		return nil
	})
	took := time.Since(begin)
	t.Logf("killed %s after the stop", took)
	if took > 10*time.Second {
		t.Errorf("it took %s to kill it", took)
	}
	until(t, func() error {
		if s := h.Status(); s.State != Running || s.PID == first {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// TestNeverReady: go-plugin's own handshake waits for as long as the process lives.
func TestNeverReady(t *testing.T) {
	for kind, want := range map[string]error{"silent": ErrStart, "mute": ErrStart, "exits": ErrStart, "prints": ErrStart, "plain": ErrStart, "net/rpc": ErrStart, "version 99": ErrVersion} {
		t.Run(kind, func(t *testing.T) {
			cfg := config(t, kind)
			if kind == "silent" || kind == "mute" || kind == "plain" {
				cfg.Start = 200 * time.Millisecond
			}
			h := launched(t, cfg)
			until(t, func() error {
				if s := h.Status(); s.State != Waiting || s.Restarts == 0 {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			_, err := h.Decide(t.Context(), three())
			if !errors.Is(err, ErrDown) {
				t.Errorf("%v", err)
			}
			until(t, func() error {
				s := h.Status()
				if !errors.Is(s.Err, want) {
					return fmt.Errorf("%w, want %w", s.Err, want)
				}
				if kind == "exits" && !strings.Contains(s.Err.Error(), "exit status 3") {
					return fmt.Errorf("%w does not say how it ended", s.Err)
				}
				t.Log(s.Err)
				return nil
			})
		})
	}
}

// TestBuiltinIsThisProgram, whatever has become of its file.
func TestBuiltinIsThisProgram(t *testing.T) {
	cfg, err := Builtin("winner_takes_all")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dir, cfg.Decide = t.TempDir(), 2*time.Second
	h := started(t, cfg)
	if r, err := h.Decide(t.Context(), three()); err != nil || r.String() != "2 of (gw-1, gw-2, gw-3)" {
		t.Errorf("%v, %v", r, err)
	}
}

func TestWrongChecksum(t *testing.T) {
	cfg := config(t, "good")
	cfg.SHA256 = strings.Repeat("ab", 32)
	h := launched(t, cfg)
	until(t, func() error {
		if s := h.Status(); !errors.Is(s.Err, ErrChecksum) {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	if _, err := h.Decide(t.Context(), three()); !errors.Is(err, ErrDown) {
		t.Errorf("%v", err)
	}
}

func TestWritableByAnybody(t *testing.T) {
	cfg := config(t, "good")
	cfg.Path = filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(cfg.Path, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cfg.Path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := cfg.verify(); !errors.Is(err, ErrStart) || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("%v", err)
	}
}

// TestNewestCommonVersion: whichever end is newer, they meet.
func TestNewestCommonVersion(t *testing.T) {
	v1 := plugins.Sets(nil)[1]
	both := map[int]plugin.PluginSet{1: v1, 2: v1}
	for _, tc := range []struct {
		kind string
		sets map[int]plugin.PluginSet
		want int
	}{
		{"good", both, 1},
		{"versions 1 and 2", nil, 1},
		{"versions 1 and 2", both, 2},
	} {
		cfg := config(t, tc.kind)
		cfg.sets = tc.sets
		h := started(t, cfg)
		if _, err := h.Decide(t.Context(), three()); err != nil || h.Status().Protocol != tc.want {
			t.Errorf("%s: %v, protocol %d, want %d", tc.kind, err, h.Status().Protocol, tc.want)
		}
	}
}

func TestEnvironmentIsStripped(t *testing.T) {
	t.Setenv("QUORATE_SECRET", "swordfish")
	h := started(t, config(t, "environment"))
	_, err := h.Decide(t.Context(), three())
	if err == nil || strings.Contains(err.Error(), "swordfish") || strings.Contains(err.Error(), "PATH=") || !strings.Contains(err.Error(), "PLUGIN_") {
		t.Errorf("%v", err)
	}
}

// TestNobodyElseAsks: whoever finds a plugin's socket gets no answer from it.
func TestNobodyElseAsks(t *testing.T) {
	cfg := config(t, "good")
	h := started(t, cfg)
	sockets, err := filepath.Glob(filepath.Join(cfg.Dir, "q-*", "plugin*[0-9]"))
	if err != nil || len(sockets) == 0 {
		t.Fatalf("%v, %v", sockets, err)
	}
	asked := 0
	for _, socket := range sockets {
		if info, err := os.Stat(socket); err != nil || info.Mode().Type() != os.ModeSocket {
			continue
		}
		for _, c := range []credentials.TransportCredentials{insecure.NewCredentials(), credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})} {
			conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(c))
			if err != nil {
				t.Fatal(err)
			}
			_, err = strategyv1.NewSplitBrainClient(conn).Decide(t.Context(), strategyv1.FromInput(three()))
			if status.Code(err) != codes.Unavailable {
				t.Errorf("without its certificate, over %s: %v", c.Info().SecurityProtocol, err)
			}
			conn.Close()
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	if _, err := h.Decide(t.Context(), three()); err != nil {
		t.Error(err)
	}
}

// TestServesSomethingElse: a plugin for another purpose starts, and has no answer.
func TestServesSomethingElse(t *testing.T) {
	h := started(t, config(t, "another's"))
	_, err := h.Decide(t.Context(), three())
	if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "Unimplemented") {
		t.Errorf("%v", err)
	}
}

// TestGroupDiesTogether: what a plugin has started ends with it, whoever ends it.
func TestGroupDiesTogether(t *testing.T) {
	for _, how := range []string{"killed", "stopped by the host"} {
		t.Run(how, func(t *testing.T) {
			cfg := config(t, "bears a child")
			h, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- h.Run(ctx) }()
			var born int
			until(t, func() error {
				_, err := h.Decide(t.Context(), three())
				if !errors.Is(err, strategies.ErrRefused) {
					return err
				}
				text := err.Error()
				born, err = strconv.Atoi(text[strings.LastIndex(text, " ")+1:])
				return err
			})
			t.Cleanup(func() { reap(born) })
			if !child.Alive(born) {
				t.Errorf("child %d is not there", born)
			}
			if how == "killed" {
				_ = syscall.Kill(h.Status().PID, syscall.SIGKILL)
			} else {
				cancel()
			}
			until(t, func() error {
				if child.Alive(born) {
					return fmt.Errorf("child %d is alive", born)
				}
				return nil
			})
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if left, _ := os.ReadDir(cfg.Dir); len(left) != 0 {
				t.Errorf("%d entries are left in its folder", len(left))
			}
		})
	}
}

// hostToKill runs a host with a strategy of its own program, says so and waits.
func hostToKill(dir string) {
	cfg, err := Builtin("winner_takes_all")
	if err != nil {
		panic(err)
	}
	cfg.Dir = dir
	h, err := New(cfg)
	if err != nil {
		panic(err)
	}
	go func() { _ = h.Run(context.Background()) }()
	for h.Status().State != Running {
		<-time.After(time.Millisecond)
	}
	fmt.Printf(`{"msg":"up","pid":%d}`+"\n", h.Status().PID)
	select {}
}

// TestKilledHostLeavesNoPlugin kills the host without notice, and looks for what it ran in /proc.
func TestKilledHostLeavesNoPlugin(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := child.NewGroup()
	defer g.Close()
	p, line, err := g.Start(t.Context(), child.Spec{Path: self, Args: []string{"host", t.TempDir()}, Ready: child.Stdout, ReadyMsg: "up"})
	if err != nil {
		t.Fatal(err)
	}
	var ready struct{ PID int }
	if err := json.Unmarshal(line, &ready); err != nil || !child.Alive(ready.PID) {
		t.Fatalf("%s: %v", line, err)
	}
	t.Cleanup(func() { reap(ready.PID) })
	p.Kill()
	until(t, func() error {
		if child.Alive(ready.PID) {
			return fmt.Errorf("plugin %d outlived its host", ready.PID)
		}
		return nil
	})
}

// TestFloodIsCut: a plugin that writes without end is heard a little, and decides all the same.
func TestFloodIsCut(t *testing.T) {
	cfg := config(t, "floods")
	lines := &counter{}
	cfg.Log = lines.logger()
	h := started(t, cfg)
	until(t, func() error {
		if n := lines.n.Load(); n < logBurst {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	if _, err := h.Decide(t.Context(), three()); err != nil {
		t.Error(err)
	}
	begin := time.Now()
	before := lines.n.Load()
	until(t, func() error {
		if time.Since(begin) < 300*time.Millisecond {
			return errors.New("wait")
		}
		return nil
	})
	if n := lines.n.Load() - before; n > logBurst {
		t.Errorf("%d lines in 300 ms", n)
	}
	until(t, func() error { // the next line that is passed on says it
		if !lines.lost.Load() {
			return errors.New("nothing says that lines are lost")
		}
		return nil
	})
}
