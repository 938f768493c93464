package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/mcpnode"
)

// journaled starts a real MCP node and returns its URL and what reads its journal: how often each call has begun.
func journaled(t *testing.T, name string) (url string, begun func() map[string]int) {
	t.Helper()
	journal := filepath.Join(t.TempDir(), name)
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- mcpnode.Run(ctx, mcpnode.Config{Name: name, Era: "modern", Journal: journal, Stdout: in})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var ready struct{ Address string }
	if err := json.NewDecoder(out).Decode(&ready); err != nil || ready.Address == "" {
		t.Fatalf("%+v, %v", ready, err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	t.Cleanup(func() { _ = out.Close() })
	return "http://" + ready.Address + mcpnode.Path, func() map[string]int {
		entries, err := mcpnode.ReadJournal(journal)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]int{}
		for _, e := range entries {
			if e.Phase == mcpnode.PhaseStart {
				all[e.Call]++
			}
		}
		return all
	}
}

// charge sends a call under a key, and returns what the agent is told; "" for nothing.
func charge(url, caller, key string, id int) (body string, stored bool) {
	r, err := http.NewRequest(http.MethodPost, "http://"+url+"/mcp", strings.NewReader(fmt.Sprintf(
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"charge","arguments":{"call":%q,"work_ms":20},`+
			`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"dev.quorate/idempotencyKey":%q}}}`, id, key, key)))
	if err != nil {
		return "", false
	}
	r.Header = http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"charge"}, "Authorization": {caller},
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", false
	}
	return string(b), resp.Header.Get("Quorate-Ledger") != ""
}

// Agents send every key several times, to any of three gateways, which stop and return meanwhile. By the journals of
// the nodes no key has run twice; without the ledger some have.
func TestKeysRunOnceInAFleet(t *testing.T) {
	for _, word := range []string{"on", "off"} {
		t.Run("ledger "+word, func(t *testing.T) {
			urls, journals := map[string]string{}, map[string]func() map[string]int{}
			for _, region := range []string{"a", "b", "c"} {
				urls[region], journals[region] = journaled(t, "node-"+region)
			}
			w := newWorldWith(t, urls, func(string) string {
				return "control: {expect: [gw-a, gw-b, gw-c]}\nroutes: [{match: {tool: charge}, ledger: " + word + "}]\n"
			})
			for region := range urls {
				await(t, region+" takes keys", func() bool {
					body, _ := charge(w.edges[region].ListenAddr(), "warm", "warm-"+region, 1)
					return strings.Contains(body, "done warm-")
				})
			}
			told, unknown := w.storm(t, 60)
			begun := map[string]int{}
			for _, j := range journals {
				for call, n := range j() {
					begun[call] += n
				}
			}
			twice := 0
			for call, n := range begun {
				if n > 1 && !strings.HasPrefix(call, "warm") {
					twice++
				}
			}
			t.Logf("%d keys executed, %d of them more than once; %d answered, %d unknown", len(begun)-3, twice, told, unknown)
			if (twice > 0) != (word == "off") {
				t.Errorf("%d keys have run more than once", twice)
			}
			if told < 20 || told+unknown < 60 && word == "on" { // nodes that are slow on a busy machine count as lost
				t.Errorf("only %d of 60 keys were answered", told)
			}
		})
	}
}

// storm sends keys while a gateway stops and returns. It returns how many were answered with their result at last, and
// of how many that is not known.
func (w *world) storm(t *testing.T, keys int) (told, unknown int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	pick := func() string {
		mu.Lock()
		defer mu.Unlock()
		return w.edges[[]string{"a", "b", "c"}[rng.IntN(3)]].ListenAddr()
	}
	var agents sync.WaitGroup
	for k := range keys {
		agents.Go(func() {
			key, was := fmt.Sprint("k", k), ""
			for id := 0; id < 6 || was == "" && id < 60; id++ {
				body, _ := charge(pick(), "agent", key, id)
				switch {
				case strings.Contains(body, "done "+key):
					was = "told"
				case strings.Contains(body, "attempt_lost"):
					was = "unknown"
				}
				<-time.After(150 * time.Millisecond)
			}
			mu.Lock()
			defer mu.Unlock()
			switch was {
			case "told":
				told++
			case "unknown":
				unknown++
			}
		})
	}
	mu.Lock()
	c := w.edges["c"]
	mu.Unlock()
	if err := c.Shutdown(t.Context()); err != nil {
		t.Log(err)
	}
	agents.Wait()
	w.start(t, "c")
	return told, unknown
}

// What a fleet of one has answered it still knows after it was started again, and tells nobody else.
func TestKeysOutliveTheGateway(t *testing.T) {
	url, begun := journaled(t, "node")
	l, more := &groupLog{}, "data_dir: "+t.TempDir()+"\nroutes: [{match: {tool: charge}, ledger: on}]\n"
	m := l.alone(t, url, more)
	await(t, "it takes keys", func() bool {
		body, _ := charge(m.ListenAddr(), "one", "k", 1)
		return strings.Contains(body, "done k")
	})
	if err := m.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := l.alone(t, url, more)
	await(t, "it is back", func() bool {
		body, stored := charge(again.ListenAddr(), "one", "k", 2)
		return stored && strings.Contains(body, `"id":2`)
	})
	if body, stored := charge(again.ListenAddr(), "another", "k", 3); stored || !strings.Contains(body, "done k") {
		t.Errorf("another caller: from the ledger %t, %s", stored, body)
	}
	if got := begun(); got["k"] != 2 { // one for each caller
		t.Errorf("executed: %v", got)
	}
}
