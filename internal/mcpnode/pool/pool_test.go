package pool

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode"
)

// TestMain lets the test binary be the node process too, in place of "quorate node".
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		if err := mcpnode.Command(context.Background(), os.Args[2:], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestNodesLiveAgainOnTheirAddress(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	group := child.NewGroup()
	defer group.Close()
	log := new(child.Tail)
	p, err := Start(t.Context(), group, Config{
		Binary: binary, Dir: t.TempDir(), Log: log, Nodes: []Spec{{ID: "a", Era: "both"}, {ID: "b", Era: "legacy"}},
	})
	if err != nil {
		t.Fatal(err, log)
	}
	defer p.Close()
	a := p.Nodes()[0]
	first := a.PID()
	a.Kill()
	if accepts(a) {
		t.Error("a killed node accepts connections")
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.PID() == first || !accepts(a) || !accepts(p.Nodes()[1]) {
		t.Errorf("pid %d after %d, serving %v", a.PID(), first, accepts(a))
	}
	if err := a.Freeze(); err != nil {
		t.Error(err)
	}
	if !accepts(a) {
		t.Error("the kernel accepts for a frozen process")
	}
	if entries, err := p.Journal(); err != nil || len(entries) != 0 {
		t.Errorf("journal %v %v", entries, err)
	}
}

func accepts(n *Node) bool {
	c, err := net.DialTimeout("tcp", n.Address(), time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
