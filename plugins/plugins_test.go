package plugins_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/oldestnode"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		plugins.Serve(oldestnode.Rule)
		return
	}
	goleak.VerifyTestMain(m)
}

// TestServeByHand: a plugin that somebody starts says what it is, and ends.
func TestServeByHand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(self, "serve").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "This binary is a plugin") {
		t.Errorf("%v: %s", err, out)
	}
}

// dialed serves a strategy on a socket, as version 1 does it, and returns its client.
func dialed(t *testing.T, decide strategies.Func) plugins.Client {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	p, ok := plugins.Sets(decide)[1][plugins.SplitBrain].(plugin.GRPCPlugin)
	if !ok {
		t.Fatal("version 1 is no gRPC plugin")
	}
	server := grpc.NewServer()
	if err := p.GRPCServer(nil, server); err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("unix://"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	raw, err := p.GRPCClient(t.Context(), nil, conn)
	if err != nil {
		t.Fatal(err)
	}
	return raw.(plugins.Client)
}

func TestVersion1(t *testing.T) {
	two := strategies.Input{Roster: strategies.Roster{
		{Name: "b", Region: "x", Role: strategies.Voter, JoinIndex: 1},
		{Name: "a", Region: "y", Role: strategies.Voter, JoinIndex: 2},
	}}
	for name, tc := range map[string]struct {
		decide strategies.Func
		in     strategies.Input
		want   string
	}{
		"a rule":     {oldestnode.Rule, two, ""},
		"a refusal":  {func(strategies.Input) (strategies.Rule, error) { return strategies.Rule{}, strategies.Refuse("no") }, two, "refused: no"},
		"an error":   {func(strategies.Input) (strategies.Rule, error) { return strategies.Rule{}, context.Canceled }, two, "code = Internal desc = context canceled"},
		"an answer":  {func(strategies.Input) (strategies.Rule, error) { return strategies.Rule{}, nil }, two, "outside 1..0"},
		"a question": {oldestnode.Rule, strategies.Input{}, "code = InvalidArgument"},
	} {
		r, err := dialed(t, tc.decide).Decide(t.Context(), tc.in)
		switch {
		case tc.want == "" && (err != nil || r.String() != "b"):
			t.Errorf("%s: %v, %v", name, r, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		case errors.Is(err, strategies.ErrRefused) != (name == "a refusal"):
			t.Errorf("%s: %v, a refusal or not", name, err)
		}
	}
}
