package mcpnode

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/poll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const legacyVersion = "2025-11-25"

// start runs a node in this process and returns its URL.
func start(t *testing.T, cfg Config) string {
	t.Helper()
	pr, pw := io.Pipe()
	cfg.Stdout = pw
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	line, err := bufio.NewReader(pr).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var ready struct{ Msg, Address string }
	if err := json.Unmarshal(line, &ready); err != nil || ready.Msg != ReadyMsg {
		t.Fatalf("ready line %q: %v", line, err)
	}
	return "http://" + ready.Address + Path
}

// connect opens a go-sdk session; its connections end with the test.
func connect(t *testing.T, url, version string, opts *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, opts).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: transport}},
		&mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func call(t *testing.T, s *mcp.ClientSession, tool string, a Args) string {
	t.Helper()
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
	if err != nil || res.IsError {
		t.Fatalf("%s: %v %+v", tool, err, res)
	}
	return res.Content[0].(*mcp.TextContent).Text
}

func TestEffectsAreJournalledInBothEras(t *testing.T) {
	for _, version := range []string{legacyVersion, modernVersion} {
		for _, asJSON := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s json=%v", version, asJSON), func(t *testing.T) {
				journal := filepath.Join(t.TempDir(), "journal")
				s := connect(t, start(t, Config{Name: "n", Journal: journal, JSON: asJSON}), version, nil)
				if got := s.InitializeResult().ProtocolVersion; got != version {
					t.Errorf("version %q, want %q", got, version)
				}
				if got := call(t, s, ToolEcho, Args{Text: "hi", Bytes: 200}); len(got) != 200 {
					t.Errorf("echo of %d bytes", len(got))
				}
				call(t, s, ToolLookup, Args{Key: "k"})
				call(t, s, ToolCharge, Args{Call: "c1", WorkMS: 1})
				call(t, s, ToolSet, Args{Call: "s1"})
				call(t, s, ToolSlow, Args{Call: "w1", WorkMS: 1})
				var got []string
				entries, err := ReadJournal(journal)
				for _, e := range entries {
					got = append(got, e.Call+" "+e.Tool+" "+e.Phase)
				}
				want := "c1 charge start,c1 charge end,s1 set start,s1 set end,w1 slow start,w1 slow end"
				if err != nil || strings.Join(got, ",") != want {
					t.Errorf("journal %v %v", got, err)
				}
			})
		}
	}
}

func TestAnnotationsNameTheRetryClass(t *testing.T) {
	s := connect(t, start(t, Config{}), modernVersion, nil)
	res, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, tool := range res.Tools {
		got[tool.Name] = fmt.Sprint(tool.Annotations.ReadOnlyHint, tool.Annotations.IdempotentHint)
	}
	for tool, want := range map[string]string{
		ToolEcho: "true false", ToolLookup: "true false", ToolSlow: "true false", ToolProgress: "true false",
		ToolSet: "false true", ToolCharge: "false false", ToolTouch: "false false",
		ToolSettings: "true false", ToolRemark: "true false",
	} {
		if got[tool] != want {
			t.Errorf("%s: %q, want %q", tool, got[tool], want)
		}
	}
}

func TestUpdatesReachSubscribersOfBothEras(t *testing.T) {
	url := start(t, Config{Updates: 10 * time.Millisecond})
	for _, version := range []string{legacyVersion, modernVersion} {
		t.Run(version, func(t *testing.T) {
			updated := make(chan string, 100)
			s := connect(t, url, version, &mcp.ClientOptions{
				ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
					select {
					case updated <- r.Params.URI:
					default:
					}
				},
			})
			if err := s.Subscribe(t.Context(), &mcp.SubscribeParams{URI: UpdatesURI}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if uri := <-updated; uri != UpdatesURI {
					t.Errorf("update of %q", uri)
				}
			}
			call(t, s, ToolTouch, Args{})
		})
	}
}

func TestProgressIsReported(t *testing.T) {
	reports := make(chan float64, 10)
	s := connect(t, start(t, Config{}), modernVersion, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			reports <- r.Params.Progress
		},
	})
	p := &mcp.CallToolParams{Name: ToolProgress, Arguments: Args{Steps: 3, EveryMS: 1}}
	p.SetProgressToken("p")
	if _, err := s.CallTool(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for want := 1.0; want <= 3; want++ {
		if got := <-reports; got != want {
			t.Errorf("progress %v, want %v", got, want)
		}
	}
}

func TestNodeOfOneEraRefusesTheOther(t *testing.T) {
	for era, version := range map[string]string{"legacy": modernVersion, "modern": legacyVersion} {
		t.Run(era, func(t *testing.T) {
			url := start(t, Config{Era: era})
			body := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"` +
				version + `","io.modelcontextprotocol/clientCapabilities":{}}}}`
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", "application/json, text/event-stream")
			req.Header.Set("MCP-Protocol-Version", version)
			req.Header.Set("Mcp-Method", "tools/list")
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			answer, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(answer), "-32022") {
				t.Errorf("status %d body %q err %v", resp.StatusCode, answer, err)
			}
		})
	}
}

func TestWorkersBoundCallsAndGaugeCountsThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gauge")
	watch, err := OpenGauge(path)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	s := connect(t, start(t, Config{Workers: 1, Gauge: path}), modernVersion, nil)
	ctx, release := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() {
			_, _ = s.CallTool(ctx, &mcp.CallToolParams{Name: ToolSlow, Arguments: Args{WorkMS: 60_000}})
		})
	}
	reach(t, func() bool { return watch.InFlight() == 3 })
	release()
	calls.Wait()
	reach(t, func() bool { return watch.InFlight() == 0 })
	call(t, s, ToolEcho, Args{Text: "free again"})
}

// reach waits for a state that only another process would see: there is no channel to wait on.
func reach(t *testing.T, ok func() bool) {
	t.Helper()
	poll.True(t, time.Millisecond, 10*time.Second, "the state", ok)
}

func TestJournalKeepsEveryConcurrentEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range 64 {
		writers.Go(func() {
			if err := j.Append(Entry{Call: fmt.Sprint(i), Phase: PhaseStart}); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	entries, err := ReadJournal(path)
	seen := map[string]bool{}
	for _, e := range entries {
		seen[e.Call] = true
	}
	if err != nil || len(seen) != 64 || len(entries) != 64 {
		t.Errorf("%d entries, %d calls, %v", len(entries), len(seen), err)
	}
	j.Close()
	if err := j.Append(Entry{}); err == nil {
		t.Error("append to a closed journal")
	}
}

func TestJournalLeavesOutACutLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, []byte(`{"call":"a","phase":"start"}`+"\n"+`{"call":"cut","ph`), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Append(Entry{Call: "b", Phase: PhaseStart}); err != nil {
		t.Fatal(err)
	}
	entries, err := ReadJournal(path)
	if err != nil || len(entries) != 2 || entries[0].Call != "a" || entries[1].Call != "b" {
		t.Errorf("%+v, %v", entries, err)
	}
}

func TestConfigIsRefused(t *testing.T) {
	for _, cfg := range []Config{{Era: "future"}, {Workers: -1}, {Workers: 10001}, {Listen: "nowhere:x"}, {Journal: "/nonexistent/j"}} {
		if err := Run(t.Context(), cfg); err == nil {
			t.Errorf("%+v accepted", cfg)
		}
	}
}

func TestSettingsAreOfTheSession(t *testing.T) {
	url := start(t, Config{})
	logged := make(chan any, 1)
	one := connect(t, url, legacyVersion, &mcp.ClientOptions{
		LoggingMessageHandler: func(_ context.Context, r *mcp.LoggingMessageRequest) { logged <- r.Params.Data },
	})
	other := connect(t, url, legacyVersion, nil)
	if err := one.SetLoggingLevel(t.Context(), &mcp.SetLoggingLevelParams{Level: "info"}); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{UpdatesURI + "/1", UpdatesURI, UpdatesURI + "/2"} {
		if err := one.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "other://uri"}); err == nil {
		t.Error("it takes any subscription")
	}
	if err := one.Unsubscribe(t.Context(), &mcp.UnsubscribeParams{URI: UpdatesURI + "/1"}); err != nil {
		t.Fatal(err)
	}
	if got, want := call(t, one, ToolSettings, Args{}), "level=info subscribed="+UpdatesURI+","+UpdatesURI+"/2"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := call(t, other, ToolSettings, Args{}); got != "level= subscribed=" {
		t.Errorf("another session has %q", got)
	}
	call(t, one, ToolRemark, Args{Text: "hello"})
	if got := <-logged; got != "hello" {
		t.Errorf("logged %v", got)
	}
}
