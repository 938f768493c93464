package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/quorate/quorate/internal/badplugin"
	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/poll"
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// TestMain makes the test binary a plugin of many kinds, and a host that gets killed: environments are stripped, so
// arguments say which.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "strategy" { // as a built-in one is run
		plugins.Serve(winnertakesall.Rule)
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		behave(os.Args[2])
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "replication" {
		plugins.ServeReplication(replicationOf(os.Args[2]))
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "host" {
		hostToKill(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// behave is a plugin of the kind.
func behave(kind string) {
	switch kind {
	case "exits":
		os.Exit(3)
	case "silent":
		select {}
	case "prints":
		fmt.Println("hello, I am a plugin")
		select {}
	case "mute": // shakes hands and then answers nothing
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Printf("1|1|tcp|%s|grpc|\n", l.Addr())
		select {}
	case "plain": // without TLS
		os.Unsetenv("PLUGIN_CLIENT_CERT")
		plugins.Serve(winnertakesall.Rule)
	case "net/rpc":
		plugin.Serve(&plugin.ServeConfig{HandshakeConfig: plugins.Handshake(), VersionedPlugins: plugins.Sets(winnertakesall.Rule)})
	case "another's":
		plugin.Serve(&plugin.ServeConfig{
			HandshakeConfig:  plugins.Handshake(),
			VersionedPlugins: map[int]plugin.PluginSet{1: {"placement": nothing{}}},
			GRPCServer:       plugin.DefaultGRPCServer,
		})
	case "version 99", "1 GiB":
		badplugin.Serve(kind)
	case "versions 1 and 2":
		plugins.ServeSets(map[int]plugin.PluginSet{1: plugins.Sets(winnertakesall.Rule)[1], 2: plugins.Sets(winnertakesall.Rule)[1]})
	case "floods":
		own := os.Stderr // Serve puts another file in its place, which goes through the host's stdio stream
		go func() {
			for i := 0; ; i++ {
				fmt.Fprintf(own, "[WARN] line %d\n", i)
			}
		}()
		plugins.Serve(winnertakesall.Rule)
	default:
		plugins.Serve(decider(kind))
	}
}

// nothing serves nothing.
type nothing struct{ plugin.NetRPCUnsupportedPlugin }

func (nothing) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (nothing) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("no client")
}

func decider(kind string) strategies.Func {
	var once sync.Once
	return func(in strategies.Input) (strategies.Rule, error) {
		switch kind {
		case "refuses":
			return strategies.Rule{}, strategies.Refuse("not on a \x1b[31mMonday")
		case "environment":
			return strategies.Rule{}, strategies.Refuse("%s", strings.Join(os.Environ(), " "))
		case "fails":
			return strategies.Rule{}, fmt.Errorf("no idea %s", strings.Repeat("x", 9000))
		case "panics":
			panic(in.Roster.Names())
		case "chats":
			fmt.Fprintf(os.Stderr, "[WARN] three voters\n")
			fmt.Println("on standard output")
			return winnertakesall.Rule(in)
		case "prints without end":
			once.Do(func() {
				go func() {
					for {
						fmt.Fprintln(os.Stderr, "a line")
					}
				}()
			})
			return winnertakesall.Rule(in)
		case "bears a child":
			born := exec.Command("/bin/sleep", "600")
			if err := born.Start(); err != nil {
				return strategies.Rule{}, err
			}
			return strategies.Rule{}, strategies.Refuse("%d", born.Process.Pid)
		}
		return badplugin.Decide(kind, in)
	}
}

// config is a plugin of the kind, with the pace of a test.
func config(t testing.TB, kind string) Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := Checksum(self)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Name: kind, Path: self, Args: []string{"plugin", kind}, SHA256: sum, Dir: t.TempDir(),
		Interval: 100 * time.Millisecond, Backoff: 10 * time.Millisecond, MaxBackoff: 20 * time.Millisecond,
		Decide: 2 * time.Second, // tests of other things than time run on a busy machine
		Log:    slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

// started returns a host that runs until the test ends, and is running now.
func started(t *testing.T, cfg Config) *Host {
	t.Helper()
	h := launched(t, cfg)
	until(t, func() error {
		if s := h.Status(); s.State != Running {
			return fmt.Errorf("%s: %w", s.State, s.Err)
		}
		return nil
	})
	return h
}

func launched(t *testing.T, cfg Config) *Host {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	beside.Run(t, h.Run)
	return h
}

// until polls what only the kernel or another process knows.
func until(t *testing.T, ok func() error) {
	t.Helper()
	poll.Nil(t, 2*time.Millisecond, 20*time.Second, ok)
}

// reap kills what a test that failed has left alive.
func reap(pid int) {
	if child.Alive(pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func three() strategies.Input {
	var r strategies.Roster
	for i, name := range []string{"gw-1", "gw-2", "gw-3"} {
		r = append(r, strategies.Gateway{Name: name, Region: fmt.Sprint("r", i), Role: strategies.Voter, JoinIndex: uint64(i + 1)})
	}
	return strategies.Input{Roster: r}
}
