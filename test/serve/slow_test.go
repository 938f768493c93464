package serve

import (
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/internal/mcpnode"
)

// slowFor is two hundred times the time after which a silent call is suspected.
const slowFor = 60 * time.Second

// TestSlowReadOnlyCallsAreNeverCut: three 60 s calls fill a node of three workers, answer plain JSON at
// their end, and each is executed once. The control is the same call when its node is frozen for
// good: it must end, much sooner than a minute.
func TestSlowReadOnlyCallsAreNeverCut(t *testing.T) {
	t.Parallel()
	g := group(t)
	a, journal, process := startNode(t, g, "a", "--json", "--workers", "3", "--era", "modern")
	gw := startGateway(t, g, filepath.Join(t.TempDir(), "q.yaml"), config(a))
	s := agent(t, gw.listen)
	slow := func(ms int) (time.Duration, error) {
		began := time.Now()
		_, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "slow", Arguments: map[string]any{"work_ms": ms, "call": "slow"}})
		return time.Since(began), err
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if took, err := slow(int(slowFor.Milliseconds())); err != nil || took < slowFor {
				t.Errorf("slow call: %v after %v", err, took)
			}
		})
	}
	wg.Wait()
	entries, err := mcpnode.ReadJournal(journal)
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	for _, e := range entries {
		if e.Phase == mcpnode.PhaseStart {
			started++
		}
	}
	t.Logf("N=3 calls of %v, %d executions", slowFor, started)
	if started != 3 {
		t.Errorf("%d executions of 3 calls", started)
	}
	if got := nodesOf(t, gw); got != "n0=healthy" {
		t.Errorf("a full node is %q", got)
	}
	// The control: the same call, and its node stops for good. Patience must not be blindness.
	ended := make(chan time.Duration, 1)
	go func() {
		took, err := slow(int(slowFor.Milliseconds()))
		if err == nil {
			t.Error("a call on a frozen node was answered")
		}
		ended <- took
	}()
	await(t, "the call is in flight", func() bool {
		_, body := get(t, gw.admin+"/v1/status")
		return strings.Contains(body, `"in_flight":1`)
	})
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if took := <-ended; took > slowFor/2 {
		t.Errorf("the call on a frozen node took %v to end", took)
	} else {
		t.Logf("control: N=1, the call on a frozen node ended after %v", took)
	}
}
