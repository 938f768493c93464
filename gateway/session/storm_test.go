package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestKillsUnderLoad kills and restarts nodes in turn under calls of many agents: no read may fail, no
// session be lost, and no call with an effect run twice.
func TestKillsUnderLoad(t *testing.T) {
	const agents, kills = 16, 12
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	names := []string{"a", "b", "c"}
	var effects sync.Map // key → *atomic.Int64
	var nodes []*node
	t.Cleanup(func() { // after the bed has closed: until then sessions come and go
		for _, n := range nodes {
			n.close()
		}
	})
	start := func(name string) *node {
		n := makeNode(name, nil)
		nodes = append(nodes, n)
		sdk.AddTool(n.server, &sdk.Tool{Name: "once-keyed"}, func(_ context.Context, _ *sdk.CallToolRequest, in struct{ Key string }) (*sdk.CallToolResult, any, error) {
			count, _ := effects.LoadOrStore(in.Key, new(atomic.Int64))
			count.(*atomic.Int64).Add(1)
			return text("%s", in.Key), nil, nil
		})
		return n
	}
	bed := newBed(t, nil, start("a").handler, start("b").handler, start("c").handler)
	stop := make(chan struct{})
	var load sync.WaitGroup
	var calls, unknown atomic.Int64
	var mu sync.Mutex
	var slowest []time.Duration
	for i := range agents {
		bed.turn.Store(int64(i))
		a := newAgent(t, bed.front.URL)
		load.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				calls.Add(1)
				if k%3 == 0 {
					key := fmt.Sprintf("%d-%d", i, k)
					_, err := a.CallTool(t.Context(), &sdk.CallToolParams{Name: "once-keyed", Arguments: map[string]any{"Key": key}})
					if err != nil && !strings.Contains(err.Error(), "outcome unknown") {
						t.Errorf("agent %d: %v", i, err)
						return
					}
					if err != nil {
						unknown.Add(1)
					}
					continue
				}
				o := <-a.call("where")
				if o.err != nil {
					t.Errorf("agent %d: a read failed: %v", i, o.err)
					return
				}
				mu.Lock()
				slowest = append(slowest, o.took)
				mu.Unlock()
			}
		})
	}
	for range kills {
		// Every kill finds all nodes up and the agents busy, however slow the machine is now.
		for before := calls.Load(); calls.Load() < before+2*agents && !t.Failed(); {
			soon(t, time.After(time.Duration(1+rnd.IntN(20))*time.Millisecond))
		}
		i := rnd.IntN(len(names))
		bed.places[i].kill()
		soon(t, time.After(time.Duration(5+rnd.IntN(40))*time.Millisecond))
		bed.places[i].start(start(names[i]).handler)
		bed.places[i].node.Revive(time.Now())
	}
	close(stop)
	load.Wait()
	if t.Failed() {
		t.Log(bed.logs.String())
	}
	effects.Range(func(key, count any) bool {
		if n := count.(*atomic.Int64).Load(); n != 1 {
			t.Errorf("%v ran %d times", key, n)
		}
		return true
	})
	slices.Sort(slowest)
	t.Logf("%d calls, %d unknown, %d retried, %d moves, %d lost; reads p50 %v, p99 %v, max %v", calls.Load(), unknown.Load(),
		bed.retried.Load(), bed.migrated.Load(), bed.lost.Load(), slowest[len(slowest)/2], slowest[len(slowest)*99/100], slowest[len(slowest)-1])
	if bed.lost.Load() != 0 {
		t.Error("sessions were lost")
	}
	if bed.migrated.Load() == 0 {
		t.Error("no kill hit a session")
	}
}
