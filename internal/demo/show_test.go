package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
)

// scene is a stage whose regions are what the deeds made of them.
type scene struct {
	did     []string
	over    chan struct{}
	edges   map[string]edge
	refuses error
}

func (s *scene) aim(_ context.Context, d deed) error {
	s.did = append(s.did, "aim "+d.String())
	return nil
}

func (s *scene) do(_ context.Context, d deed) (string, error) {
	s.did = append(s.did, d.String())
	s.edges = map[string]edge{d.at: {nodes: 1, healthy: 1}}
	return d.String(), s.refuses
}

func (s *scene) ended() <-chan struct{} { return s.over }

func (s *scene) look(context.Context, map[string]edge) map[string]edge { return s.edges }

// stageShow has one raw agent at a server that answers everything.
func stageShow(t *testing.T, sc *scene) (*show, *bytes.Buffer) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"jsonrpc":"2.0","id":`), ",")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Quorate-Region", usEast)
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{"content":[]}}`)
	}))
	load, err := failover.NewLoad(failover.LoadConfig{
		Sites: []failover.Site{{Name: usEast, URL: srv.URL, Agents: failover.Mix{ModernRaw: 1}}}, Think: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	load.Start(t.Context())
	t.Cleanup(func() { load.Stop(); srv.Close() })
	var out bytes.Buffer
	return &show{stage: sc, load: load, out: &screen{out: &out}, began: time.Now()}, &out
}

func TestActs(t *testing.T) {
	sc := &scene{over: make(chan struct{})}
	s, out := stageShow(t, sc)
	err := s.play(t.Context(), []act{
		{name: "calm", until: []sight{answered{usEast, usEast}}, least: 100 * time.Millisecond, most: patience},
		{name: "fault", do: []deed{{verb: killAll, at: euWest}}, rest: time.Millisecond, then: []deed{{verb: start, at: apSouth}},
			until: []sight{up{apSouth}}, most: patience},
		{name: "vain", until: []sight{up{apSouth}, up{usEast}}, most: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(sc.did, "; "); got != "aim SIGKILL of every node in eu-west; SIGKILL of every node in eu-west; nodes of ap-south start" {
		t.Errorf("did %s", got)
	}
	if len(s.rows) != 3 || s.rows[0].calls == 0 || s.rows[0].took != 0 || s.rows[1].took == 0 || abroad(s.rows[0].went) != "all at home" {
		t.Errorf("rows %+v", s.rows)
	}
	if len(s.wrong) != 1 || !strings.Contains(s.wrong[0], "vain: after 1ms it was not seen that us-east finds all") {
		t.Errorf("wrong %q", s.wrong)
	}
	if !strings.Contains(out.String(), "2 of 3: fault") || !strings.Contains(out.String(), "nodes of ap-south start") {
		t.Errorf("output:\n%s", out)
	}
}

func TestWhatEndsAScript(t *testing.T) {
	endless := []act{{name: "wait", until: []sight{up{usEast}}, most: patience, do: []deed{{verb: cut, at: euWest}}}}
	sc := &scene{over: make(chan struct{})}
	close(sc.over)
	s, _ := stageShow(t, sc)
	if err := s.play(t.Context(), endless); !errors.Is(err, errGateway) {
		t.Errorf("a gateway's end: %v", err)
	}
	sc = &scene{over: make(chan struct{}), refuses: errors.New("no such node")}
	s, _ = stageShow(t, sc)
	if err := s.play(t.Context(), endless); !errors.Is(err, sc.refuses) {
		t.Errorf("a deed that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, _ = stageShow(t, &scene{over: make(chan struct{})})
	if err := s.play(ctx, endless); err != nil || len(s.rows) != 0 {
		t.Errorf("Ctrl-C: %v, rows %+v", err, s.rows)
	}
}
