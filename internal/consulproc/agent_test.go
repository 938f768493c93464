package consulproc

import (
	"errors"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/child"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func binary(t *testing.T) string {
	t.Helper()
	path, err := Binary(t.Context())
	if err != nil && os.Getenv("CI") == "" && errors.Is(err, ErrNotInstalled) {
		t.Skip("LOUD: no real Consul, so its agents stay unstarted:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFederatedAgents starts two datacenters that know of one another, takes one away and brings it back empty.
func TestFederatedAgents(t *testing.T) {
	path := binary(t)
	group := child.NewGroup()
	defer group.Close()
	began := time.Now()
	east, err := Start(t.Context(), group, Config{Binary: path, Dir: t.TempDir(), Datacenter: "us-east"})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("one agent leads after", time.Since(began))
	west, err := Start(t.Context(), group, Config{Binary: path, Dir: t.TempDir(), Datacenter: "eu-west", JoinWAN: []*Agent{east}})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("two agents are federated after", time.Since(began))
	if err := west.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := west.ready(t.Context()); err == nil {
		t.Error("a stopped agent answers")
	}
	if err := west.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := west.AwaitReady(t.Context()); err != nil {
		t.Error(err)
	}
	began = time.Now()
	if err := west.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Log("restarted after", time.Since(began))
	if err := west.ready(t.Context()); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}
