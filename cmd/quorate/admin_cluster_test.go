package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/events"
)

// fleet is a control group as its functions show it to the admin API.
type fleet struct {
	quorum, agreed bool
	state          []byte
	leads          []admin.Leadership
	voters         []string // what was asked of /v1/voters, which settings serve
}

func (f *fleet) cluster() admin.Cluster {
	c := admin.Cluster{
		ID: "6f1d", Generation: 2, Gateway: "gw-1", Leader: "gw-1", Term: 4, Commit: 120, Applied: 119, Partition: true, Minority: "read_only",
		Gate:         admin.Gate{Open: f.quorum, Reason: "1 of 3 voters answers"},
		Rule:         admin.Rule{Version: 3, Strategy: "winner_takes_all", Words: "2 of gw-1, gw-2, wit", Changing: true},
		Plugin:       admin.Plugin{Name: "winner_takes_all", State: "running", Restarts: 2, Cause: "killed"},
		Forced:       []admin.Forcing{{At: "2026-11-29T04:00:00Z", By: "token from ops", RuleVersion: 2}},
		LastFailover: &admin.Failover{At: admin.Time{Time: time.Unix(0, 0)}, TookMS: 540},
		Gateways: []admin.Member{
			{Gateway: "gw-1", Region: "us-east", Role: "voter", Up: true, Gate: "open", Incarnation: 9, RuleVersion: 3},
			{Gateway: "gw-2", Region: "eu-west", Role: "voter", Up: true, RTTMS: 21.5, Gate: "open", Incarnation: 12, RuleVersion: 3, LagMS: 4},
			{Gateway: "gw-9", Region: "eu-west", Role: "member", Up: true, Gate: "open", Suspected: true},
			{Gateway: "wit", Region: "ap", Role: "witness", Suspected: true},
		},
	}
	return c
}

func (f *fleet) lead(_ context.Context, o admin.Leadership) error {
	switch {
	case o.Region == "moon":
		return fmt.Errorf("%w: %q", admin.ErrUnknownRegion, o.Region)
	case !f.quorum && !o.Attest:
		return admin.ErrNeedsAttest
	}
	f.leads = append(f.leads, o)
	return nil
}

func (f *fleet) compare(context.Context) (admin.Agreement, error) {
	a := admin.Agreement{Agreed: f.agreed, Index: 120, Replies: []admin.Compared{{Gateway: "gw-1", Reached: true, Digest: "9c11", Agrees: true}}}
	if !f.agreed {
		a.Replies = append(a.Replies, admin.Compared{Gateway: "gw-2", Problem: "no link to it"})
	}
	return a, nil
}

func (f *fleet) reconcile(ctx context.Context) (admin.Agreement, error) {
	if !f.quorum {
		return admin.Agreement{}, admin.ErrNoQuorum
	}
	return f.compare(ctx)
}

func (f *fleet) restore(_ context.Context, b []byte, _ string) error {
	if !bytes.HasPrefix(b, []byte("state")) {
		return fmt.Errorf("%w: it is none", admin.ErrBadSnapshot)
	}
	f.state = b
	return nil
}

// serve runs the admin API over f, behind the run-time settings of voters.
func (f *fleet) serve(t *testing.T) (url string) {
	t.Helper()
	ring, err := events.New(1, func() time.Time { return time.Unix(0, 0) })
	if err != nil {
		t.Fatal(err)
	}
	ring.Add("suspected", "gw-2", "no heartbeat for 1 s")
	ring.Add("fenced", "gw-2", "its life 12 has ended")
	h, err := admin.New(admin.Config{
		Status: func() admin.Status {
			return admin.Status{Gateway: "gw-1", Region: "us-east", Version: "v1", TableVersion: 7, Services: []admin.Service{
				{Name: "tools", Path: "/mcp", Sessions: 5, Nodes: []admin.Node{{State: "healthy"}, {State: "unknown"}}}}}
		},
		Ready: func() []string { return nil }, Metrics: http.NotFoundHandler(), Events: ring.After,
		Control: &admin.Control{
			Cluster: f.cluster, Lead: f.lead, Reconcile: f.reconcile, Verify: f.compare,
			Snapshot: func(context.Context) ([]byte, error) { return []byte("state\x00"), nil }, Restore: f.restore,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/voters/") {
			h.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		f.voters = append(f.voters, r.Method+" "+r.URL.Path+" "+string(body))
		if !f.quorum {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestClusterCommands(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	const attest = "--i-attest-the-other-side-is-off"
	f := &fleet{}
	url := f.serve(t)
	for _, tc := range []struct {
		quorum, agreed bool
		args           string
		code           int
		says           []string
	}{
		{true, true, "status", 0, []string{"cluster    warning, 3 of 4 up", "- 3 of 4 gateways are up", "leader     gw-1, term 4", "gate       open at gw-1", "partition  yes",
			"version 3: 2 of gw-1, gw-2, wit (winner_takes_all), being changed", "running, restarts: 2: killed", "540 ms, at 1970", "applied 119 of 120, generation 2", "forced     at 2026-11-29T04:00:00Z, token from ops; rule version 2",
			"gw-1 (here) (leads)", "21.5 ms", "up, suspected", "down, suspected", "gateway gw-1, region us-east, v1, table 7", "tools    /mcp  5         2      1"}},
		{false, true, "get_cluster_status", 0, []string{"cluster    critical", "closed at gw-1 (read_only): 1 of 3 voters answers"}},
		{true, true, "status --json", 0, []string{`{"cluster":{"grade":"warning"`, `,"status":{"gateway":"gw-1"`}},
		{true, true, "force-leader us-east", 0, []string{"leader     gw-1"}},
		{true, true, "force_leader us-east --json", 0, []string{`"leader":"gw-1"`}},
		{true, true, "force-leader moon", 1, []string{"no such region"}},
		{true, true, "force-leader", 2, []string{"accepts 1 arg"}},
		{false, true, "force-leader us-east", 3, []string{"no quorum", attest}},
		{false, true, "force-leader us-east " + attest, 0, []string{"leader     gw-1"}},
		{true, true, "reconcile", 0, []string{"all gateways agree up to entry 120", "9c11"}},
		{true, false, "reconcile_state", 1, []string{"not all gateways agree", "no link to it"}},
		{false, true, "reconcile", 3, []string{"no quorum"}},
		{true, true, "verify_state", 0, []string{"all gateways agree"}},
		{true, false, "verify --json", 1, []string{`{"agreed":false,`}},
		{true, true, "voters", 0, []string{"gw-2", "witness"}},
		{true, true, "voters list", 0, []string{"gw-2", "witness"}},
		{true, true, "voters add gw-4", 0, []string{"gw-4 is a voter"}},
		{true, true, "voters add a/b --role witness --region ap", 0, []string{"a/b is a voter"}},
		{true, true, "voters remove gw-4", 0, []string{"no voter any more"}},
		{false, true, "voters remove gw-4", 3, []string{"503"}},
		{true, true, "voters add", 2, []string{"accepts 1 arg"}},
		{true, true, "voters who", 2, []string{"unknown command"}},
		{true, true, "events", 0, []string{"1 older events are forgotten", "2    1970-01-01T00:00:00.000Z  fenced  gw-2     its life 12 has ended"}},
		{true, true, "events --after 2 --json", 0, []string{`{"events":[],"last":2`}},
		{true, true, "events --after x", 2, []string{"invalid argument"}},
		{true, true, "snapshot save " + good, 0, []string{"saved 6 bytes to " + good}},
		{true, true, "snapshot save --json " + good, 0, []string{`"bytes":6}`}},
		{true, true, "snapshot save " + dir + "/no/file", 1, []string{"no such file"}},
		{true, true, "snapshot restore " + good, 0, []string{"cluster    warning"}},
		{true, true, "snapshot restore " + bad, 1, []string{"cannot be restored"}},
		{true, true, "snapshot restore " + dir + "/none", 1, []string{"no such file"}},
	} {
		f.quorum, f.agreed = tc.quorum, tc.agreed
		code, out := command(append([]string{"admin", "--address", url}, strings.Fields(tc.args)...)...)
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d: %s", tc.args, code, tc.code, out)
		}
		for _, want := range tc.says {
			if !strings.Contains(out, want) {
				t.Errorf("%s does not say %q:\n%s", tc.args, want, out)
			}
		}
		if slices.Contains(strings.Fields(tc.args), "--json") && code != exitUsage && !json.Valid([]byte(out)) {
			t.Errorf("%s is not JSON: %s", tc.args, out)
		}
	}
	if saved, err := os.ReadFile(good); err != nil || string(saved) != "state\x00" || string(f.state) != "state\x00" {
		t.Errorf("saved %q (%v), restored %q", saved, err, f.state)
	}
	if len(f.leads) != 3 || f.leads[1].Attest || !f.leads[2].Attest {
		t.Errorf("orders %+v", f.leads)
	}
	if want := []string{`PUT /v1/voters/gw-4 {"role":"voter"}`, `PUT /v1/voters/a/b {"role":"witness","region":"ap"}`, "DELETE /v1/voters/gw-4 ", "DELETE /v1/voters/gw-4 "}; !slices.Equal(f.voters, want) {
		t.Errorf("voters asked for: %q", f.voters)
	}
}

// A gateway without a control group has a status too.
func TestStatusWithoutAControlGroup(t *testing.T) {
	url, _ := gateway(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("word"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := command("admin", "status", "--address", url, "--token-file", token); code != 0 || !strings.Contains(out, "no control group") || !strings.Contains(out, "tools") {
		t.Errorf("%d %s", code, out)
	}
	if code, out := command("admin", "status", "--json", "--address", url, "--token-file", token); code != 0 || !strings.HasPrefix(out, `{"cluster":null,"status":{`) {
		t.Errorf("%d %s", code, out)
	}
	if code, out := command("admin", "verify", "--address", url, "--token-file", token); code != 1 || !strings.Contains(out, "no such path") {
		t.Errorf("%d %s", code, out)
	}
}
