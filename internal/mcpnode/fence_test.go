package mcpnode

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// charge calls the tool as a gateway would, and returns status, the epoch answered and the body.
func charge(t *testing.T, url, call, epoch string) (status int, largest, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"charge","arguments":{"call":"`+call+`"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": modernVersion, "Mcp-Method": "tools/call", "Mcp-Name": "charge", headerVia: "gw-1"} {
		r.Header.Set(name, value)
	}
	if epoch != "" {
		r.Header.Set(headerFence, epoch)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get(headerFence), string(b)
}

func TestFence(t *testing.T) {
	for _, checks := range []bool{true, false} {
		journal := filepath.Join(t.TempDir(), "journal")
		url := start(t, Config{Name: "n", Journal: journal, Fence: checks, JSON: true})
		refused := map[bool]int{true: http.StatusConflict, false: http.StatusOK}[checks]
		for _, c := range []struct {
			call, epoch string
			want        int
		}{{"c1", "7", 200}, {"c2", "7", 200}, {"c3", "", 200}, {"c4", "6", refused}, {"c5", "9", 200}, {"c6", "8", refused}} {
			status, largest, body := charge(t, url, c.call, c.epoch)
			if status != c.want || status == http.StatusConflict && (largest != "7" && largest != "9") {
				t.Errorf("checks %t: %s under %q: %d %q %s", checks, c.call, c.epoch, status, largest, body)
			}
		}
		entries, err := ReadJournal(journal)
		if err != nil {
			t.Fatal(err)
		}
		ran := map[string]Entry{}
		for i, e := range entries {
			ran[e.Call+e.Phase] = e
			if i > 0 && e.Mono < entries[i-1].Mono || e.Mono <= 0 || e.Via != "gw-1" {
				t.Errorf("entry %+v", e)
			}
		}
		_, stale := ran["c4"+PhaseStart]
		if stale == checks || ran["c1"+PhaseStart].Fence != 7 || ran["c3"+PhaseEnd].Fence != 0 || ran["c5"+PhaseEnd].Fence != 9 {
			t.Errorf("checks %t: journal %+v", checks, entries)
		}
	}
}

func TestFenceOutlivesItsProcess(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	if status, _, body := charge(t, start(t, Config{Journal: journal, Fence: true}), "c1", "7"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	url := start(t, Config{Journal: journal, Fence: true})
	if status, largest, _ := charge(t, url, "c2", "6"); status != http.StatusConflict || largest != "7" {
		t.Errorf("after a restart: %d, largest %q", status, largest)
	}
	if status, _, _ := charge(t, url, "c3", "x"); status != http.StatusBadRequest {
		t.Errorf("an epoch that is no number: %d", status)
	}
}

// A write that was let in and then overtaken by a later epoch has no effect.
func TestOvertakenWrite(t *testing.T) {
	f := &fence{checks: true}
	for _, epoch := range []uint64{5, 6} {
		if _, _, ok := f.admit(epoch); !ok {
			t.Fatalf("epoch %d is refused", epoch)
		}
	}
	if _, largest, ok := f.admit(5); ok || largest != 6 {
		t.Errorf("the overtaken one is admitted; largest %d", largest)
	}
}

// A call that was overtaken on its way is told that nothing was done, which a tool's own error does not say.
func TestOvertakenCall(t *testing.T) {
	gauge, err := CreateGauge("")
	if err != nil {
		t.Fatal(err)
	}
	defer gauge.Close()
	n := &node{cfg: Config{Name: "n"}, gauge: gauge, fence: &fence{checks: true, largest: 6}}
	req := &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: "charge"}, Extra: &mcp.RequestExtra{Header: http.Header{headerFence: {"5"}}}}
	_, err = n.execute(t.Context(), req, Args{Call: "c"}, false, echo)
	if e, ok := err.(*jsonrpc.Error); !ok || e.Code != codeNoAuthority || string(e.Data) != `{"reason":"fenced"}` { //nolint:errorlint // as the sdk looks at it
		t.Errorf("%v", err)
	}
}
