package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/logbook"
	"github.com/quorate/quorate/internal/regional"
	"github.com/quorate/quorate/internal/settings"
	"github.com/quorate/quorate/internal/telemetry"
)

// groupLog is a control group in one process: what one gateway proposes is applied to the parts of all that are not
// away, in one order, before it is answered.
type groupLog struct {
	mu      sync.Mutex
	entries []groupEntry
	members []*groupMember
}

type groupEntry struct {
	part    string
	command []byte
}

type groupMember struct {
	log     *groupLog
	parts   map[string]Part
	applied int
	away    error // what proposals end with; nil: it is there
}

var errNoLeader = errors.New("no leader is known")

func (l *groupLog) open(m *groupMember) func(map[string]Part) (Proposer, error) {
	return func(parts map[string]Part) (Proposer, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		m.log, m.parts = l, parts
		l.members = append(l.members, m)
		_, _ = m.catchUp()
		return m, nil
	}
}

// catchUp applies what the member has missed and returns the answer to the last entry.
func (m *groupMember) catchUp() (result []byte, err error) {
	for ; m.applied < len(m.log.entries) && m.away == nil; m.applied++ {
		e := m.log.entries[m.applied]
		result, err = m.parts[e.part].Apply(uint64(m.applied+1), e.command)
	}
	return result, err
}

func (m *groupMember) Propose(_ context.Context, part string, command []byte) (uint64, []byte, error) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	if m.away != nil {
		return 0, nil, m.away
	}
	m.log.entries = append(m.log.entries, groupEntry{part, bytes.Clone(command)})
	var result []byte
	var err error
	for _, other := range m.log.members {
		if r, e := other.catchUp(); other == m {
			result, err = r, e
		}
	}
	return uint64(len(m.log.entries)), result, err
}

func (m *groupMember) goes(away error) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	m.away = away
	_, _ = m.catchUp()
}

// member is an edge in a group, with what its log says.
type memberEdge struct {
	*Edge
	*groupMember
	file string
	out  *logbook.Book
}

// alone starts an edge that has no group but its own.
func (l *groupLog) alone(t *testing.T, node, more string) *memberEdge {
	t.Helper()
	m := &memberEdge{groupMember: &groupMember{log: l}, file: filepath.Join(t.TempDir(), "quorate.yaml"), out: &logbook.Book{}}
	m.Edge = startEdge(t, m.write(t, node, more))
	return m
}

// joins starts an edge in the group by a file with one service at node, and more.
func (l *groupLog) joins(t *testing.T, node, more string, away ...error) *memberEdge {
	t.Helper()
	m := &memberEdge{groupMember: &groupMember{log: l, away: errors.Join(away...)}, file: filepath.Join(t.TempDir(), "quorate.yaml"), out: &logbook.Book{}}
	m.Edge = startWith(t, m.write(t, node, more), Options{Logger: slog.New(slog.NewTextHandler(m.out, nil)), Group: l.open(m.groupMember)})
	return m
}

// write writes the file and loads it.
func (m *memberEdge) write(t *testing.T, node, more string) *config.Config {
	t.Helper()
	return written(t, m.file, fmt.Sprintf(`name: gw-1
region: us-east
listen: {address: "127.0.0.1:0"}
admin: {address: "127.0.0.1:0"}
shutdown: {drain: 1s}
services:
  - name: tools
    path: /mcp
    discover: [{static: {nodes: [{id: a, url: %q}]}}]
%s`, node, more))
}

func (m *memberEdge) ask(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	header := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	got := exchange(t, method, "http://"+m.AdminAddr()+path, body, header)
	got.body = strings.ReplaceAll(got.body, m.file, "FILE")
	return got
}

// wants asks and compares.
func (m *memberEdge) wants(t *testing.T, method, path, body string, code int, says string, headers ...string) answer {
	t.Helper()
	got := m.ask(t, method, path, body, headers...)
	if got.code != code || !strings.Contains(got.body, says) {
		t.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, got.code, got.body, code, says)
	}
	return got
}

// serves calls a tool at a path and returns the status.
func (m *memberEdge) serves(t *testing.T, path string) bool {
	t.Helper()
	got := chargeAt(t, "http://"+m.ListenAddr()+path)
	return got.code == http.StatusOK && strings.Contains(got.body, `"result"`)
}

// at is a service's document.
func at(path, node, more string) string {
	return fmt.Sprintf(`{"path":%q,"discover":[{"static":{"nodes":[{"id":"a","url":%q}]}}]%s}`, path, node, more)
}

func TestServicesComeAndGoAtRunTime(t *testing.T) {
	_, node := newServer(t)
	l := &groupLog{}
	a, b := l.joins(t, node, ""), l.joins(t, node, "")
	got := a.wants(t, "PUT", "/v1/services/extra", at("/extra", node, ""), 201, `"in_force":true`)
	if !a.serves(t, "/extra") {
		t.Error("it is in force, and not served")
	}
	await(t, "the other gateway serves it too", func() bool { return b.serves(t, "/extra") })
	b.wants(t, "GET", "/v1/services/extra", "", 200, `"settings":{"discover":[{"static":{"nodes":[{"id":"a","url":"`+node+`"}]}}],"path":"/extra"}`)
	if again := b.wants(t, "PUT", "/v1/services/extra", " "+at("/extra", node, "")+"\n", 200, ""); again.header.Get("ETag") != got.header.Get("ETag") {
		t.Errorf("the same body makes %s of %s", again.header.Get("ETag"), got.header.Get("ETag"))
	}
	b.wants(t, "PUT", "/v1/services/extra", at("/moved", node, ""), 200, "/moved", "If-Match", got.header.Get("ETag"))
	if !b.serves(t, "/moved") || b.serves(t, "/extra") {
		t.Error("it did not move")
	}
	a.wants(t, "PUT", "/v1/services/extra", at("/elsewhere", node, ""), 412, "revision", "If-Match", got.header.Get("ETag"))
	a.wants(t, "DELETE", "/v1/services/extra", "", 412, "revision", "If-Match", got.header.Get("ETag"))
	a.wants(t, "DELETE", "/v1/services/extra", "", 204, "")
	if a.serves(t, "/moved") || !a.serves(t, "/mcp") {
		t.Error("more or less than it was removed")
	}
	a.wants(t, "GET", "/v1/services/extra", "", 404, "not_found")
	await(t, "the other gateway does not serve it either", func() bool { return !b.serves(t, "/moved") })
}

func TestRefusedSettings(t *testing.T) {
	_, node := newServer(t)
	l := &groupLog{}
	m := l.joins(t, node, "regions:\n  eu: {via: direct, pools: {tools: {nodes: []}}}\nroutes: [{match: {tool: x}}]\n")
	m.wants(t, "PUT", "/v1/services/tools", at("/x", node, ""), 409, `"code":"in_file","message":"services/tools: it stands in the file, and can only be changed there: FILE:7"`)
	m.wants(t, "DELETE", "/v1/services/tools", "", 409, "FILE:7")
	m.wants(t, "PUT", "/v1/regions/eu", `{"via":"direct"}`, 409, "FILE:11")
	m.wants(t, "GET", "/v1/services/tools", "", 200, `"source":"file","at":"FILE:7","revision":0,"settings":{"discover":`)
	m.wants(t, "GET", "/v1/routes", "", 200, `"name":"routes[0]","source":"file","at":"FILE:12"`)
	m.wants(t, "PUT", "/v1/services/b", `{"path":"/b","discover":[],"checks":{"interval":"5"}}`, 400, `{"attribute":"checks.interval","problem":"\"5\" is not a duration","write":"a number with a unit such as 5s"}`)
	m.wants(t, "PUT", "/v1/services/b", at("/mcp", node, ""), 400, `{"attribute":"path","problem":"\"/mcp\" is taken by services[0].path"`)
	m.wants(t, "PUT", "/v1/services/b", `{"path":"/b","discover":[{"consul":{"service":"x"}}]}`, 400, "needs Consul's address")
	m.wants(t, "PUT", "/v1/strategies/placement", `{}`, 400, `"attribute":"name"`)
	m.wants(t, "PUT", "/v1/services/b", at("/b", node, `,"session":{"idle":"1m"}`), 201, "")
	m.wants(t, "PUT", "/v1/services/b", at("/c", node, `,"session":{"idle":"2m"}`), 409, "session.idle")
	m.wants(t, "PUT", "/v1/regions/ap", `{"via":"direct","pools":{"b":{"nodes":[]}}}`, 201, "")
	m.wants(t, "DELETE", "/v1/services/b", "", 409, "regions/ap would be left out: pools.b names no service of this file")
	m.wants(t, "DELETE", "/v1/regions/ap", "", 204, "")
	m.wants(t, "DELETE", "/v1/services/b", "", 204, "")
	m.wants(t, "PUT", "/v1/services/b", at("/c", node, `,"session":{"idle":"2m"}`), 201, `"in_force":true`)
	if n := len(l.entries); n != 5 {
		t.Errorf("%d entries: what is refused here should not reach the log", n)
	}
	m.goes(errNoLeader)
	got := m.wants(t, "PUT", "/v1/services/d", at("/d", node, ""), 503, `"no_quorum"`)
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	m.wants(t, "DELETE", "/v1/services/b", "", 503, `"no_quorum"`)
	m.wants(t, "PUT", "/v1/regions/eu/order", `{"state":"off"}`, 503, `"no_quorum"`)
	m.wants(t, "GET", "/v1/services/b", "", 200, `"in_force":true`)
	m.goes(context.DeadlineExceeded)
	m.wants(t, "PUT", "/v1/services/d", at("/d", node, ""), 504, `"unknown_outcome"`)
}

// Two gateways accept the same path at the same moment. Both then serve the one that came first.
func TestContradictionsAreSettledAlikeEverywhere(t *testing.T) {
	_, node := newServer(t)
	l := &groupLog{}
	a, b := l.joins(t, node, ""), l.joins(t, node, "")
	for _, name := range []string{"z-first", "a-second"} { // as if each had been checked before the other was there
		d, err := config.ParseDocument(settings.Services, name, []byte(at("/same", node, "")))
		if err != nil {
			t.Fatal(err)
		}
		command, err := settings.Put(settings.Services, name, d.Body, settings.Condition{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.Propose(t.Context(), settings.PartName, command); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []*memberEdge{a, b} {
		await(t, "the second one is left out", func() bool {
			return strings.Contains(m.ask(t, "GET", "/v1/services/a-second", "").body, `is taken by services/z-first.path`)
		})
		m.wants(t, "GET", "/v1/services/z-first", "", 200, `"in_force":true`)
		m.wants(t, "GET", "/v1/status", "", 200, `"skipped":[{"kind":"services","name":"a-second"`)
		if !m.serves(t, "/same") {
			t.Error("not served")
		}
		if n := strings.Count(m.out.String(), "run-time setting is not followed here"); n != 1 {
			t.Errorf("%d warnings", n)
		}
	}
	b.wants(t, "DELETE", "/v1/services/z-first", "", 204, "")
	for _, m := range []*memberEdge{a, b} {
		await(t, "the second one takes its place", func() bool {
			return strings.Contains(m.ask(t, "GET", "/v1/services/a-second", "").body, `"in_force":true`)
		})
	}
}

// A file wins over the API, where it does and as long as it does.
func TestFilesWinOverSettings(t *testing.T) {
	_, node := newServer(t)
	l := &groupLog{}
	a := l.joins(t, node, "")
	b := l.joins(t, node, "  - {name: extra, path: /mine, discover: [{static: {nodes: []}}]}\n")
	a.wants(t, "PUT", "/v1/services/extra", at("/extra", node, ""), 201, "")
	await(t, "b leaves it out", func() bool {
		return strings.Contains(b.ask(t, "GET", "/v1/status", "").body, `"attribute":"name","problem":"stands in this gateway's file at FILE:10"`)
	})
	b.wants(t, "GET", "/v1/services/extra", "", 200, `"source":"file"`)
	b.wants(t, "PUT", "/v1/services/extra", at("/extra", node, ""), 409, "FILE:10")
	if err := b.Reload(b.write(t, node, "")); err != nil {
		t.Fatal(err)
	}
	b.wants(t, "GET", "/v1/services/extra", "", 200, `"in_force":true`)
	if !b.serves(t, "/extra") {
		t.Error("not served once the file lets it")
	}
	if err := b.Reload(b.write(t, node, "  - {name: other, path: /extra, discover: [{static: {nodes: []}}]}\n")); err != nil {
		t.Fatal(err)
	}
	b.wants(t, "GET", "/v1/services/extra", "", 200, `"problem":"\"/extra\" is taken by services[1].path"`)
	if b.serves(t, "/extra") || !b.serves(t, "/mcp") || !a.serves(t, "/extra") {
		t.Error("the file's service has no node, and the others are as they were")
	}
	b.wants(t, "DELETE", "/v1/services/extra", "", 204, "")
	if err := b.Reload(b.write(t, node, "data_dir: elsewhere\n")); err == nil {
		t.Error("a file that needs a restart is taken")
	}
}

// A strategy that this machine cannot run is left out here, and costs the gateway nothing else.
func TestStrategiesThatCannotRunHereAreLeftOut(t *testing.T) {
	_, node := newServer(t)
	t.Setenv("PATH", t.TempDir()) // where its program is not
	m := (&groupLog{}).joins(t, node, "")
	const document = `{"strategy":"jetstream","plugin":{"settings":{"urls":["nats://127.0.0.1:1"]}}}`
	m.wants(t, "PUT", "/v1/strategies/replication", document, 400, "quorate-jetstream is neither beside")
	d, err := config.ParseDocument(settings.Strategies, config.ReplicationStrategy, []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	command, err := settings.Put(settings.Strategies, config.ReplicationStrategy, d.Body, settings.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Propose(t.Context(), settings.PartName, command); err != nil { // by a gateway that has the program
		t.Fatal(err)
	}
	m.wants(t, "PUT", "/v1/services/extra", at("/extra", node, ""), 201, `"in_force":true`)
	m.wants(t, "GET", "/v1/status", "", 200, `"skipped":[{"kind":"strategies","name":"replication"`)
	if !m.serves(t, "/extra") || m.sessions.plans.ofKeeper("tools").Class != keeper.Async {
		t.Error("what came after it is not followed, or it is")
	}
	if err := m.Reload(m.write(t, node, "")); err != nil || !m.serves(t, "/extra") {
		t.Errorf("the file is not read any more: %v", err)
	}
}

func TestSettingsSurviveARestartFromASnapshot(t *testing.T) {
	_, node := newServer(t)
	l := &groupLog{}
	a := l.joins(t, node, "")
	a.wants(t, "PUT", "/v1/services/extra", at("/extra", node, `,"session":{"idle":"1m"}`), 201, "")
	a.wants(t, "PUT", "/v1/strategies/split_brain", `{"strategy":"configured_master","master":"gw-1"}`, 201, "")
	a.wants(t, "PUT", "/v1/routes/10", `{"service":"extra","match":{"tool":"slow_*"},"class":"slow"}`, 201, "")
	if s, ok := a.cfg.Load().Strategy("split_brain"); !ok || s.Master != "gw-1" {
		t.Errorf("strategy %+v", s)
	}
	snapshot, err := a.groupMember.parts[settings.PartName].Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored := &groupMember{log: &groupLog{}}
	cfg := a.write(t, node, "")
	tel, err := telemetry.New(t.Context(), telemetry.Config{Gateway: cfg.Name, Region: cfg.Region, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	open := func(parts map[string]Part) (Proposer, error) {
		if err := parts[settings.PartName].Restore(snapshot); err != nil {
			return nil, err
		}
		return restored.log.open(restored)(parts)
	}
	e, err := Start(t.Context(), cfg, Options{Version: "test", Logger: slog.New(slog.DiscardHandler), Telemetry: tel, Group: open})
	if err != nil {
		t.Fatal(err)
	}
	m := &memberEdge{Edge: e, groupMember: restored, file: a.file}
	t.Cleanup(func() { _ = e.Shutdown(context.Background()); _ = tel.Shutdown(context.Background()) })
	await(t, "served again", func() bool { return m.serves(t, "/extra") })
	m.wants(t, "GET", "/v1/services/extra", "", 200, `"revision":1,`)
	if s, ok := e.cfg.Load().Strategy("split_brain"); !ok || s.Strategy != "configured_master" {
		t.Errorf("strategy %+v", s)
	}
	if routes := e.cfg.Load().RoutesOf(1); len(routes) != 1 || routes[0].Class != "slow" {
		t.Errorf("routes %+v", routes)
	}
}

// A gateway that starts in a minority goes by the settings that it followed last, until the group says otherwise.
func TestSettingsSurviveARestartWithoutAQuorum(t *testing.T) {
	_, node := newServer(t)
	l := &groupLog{}
	dir := t.TempDir()
	a := l.joins(t, node, "data_dir: "+dir+"\n")
	a.wants(t, "PUT", "/v1/services/extra", at("/extra", node, ""), 201, "")
	await(t, "on disk", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, keptFile))
		return strings.Contains(string(b), "/extra")
	})
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.goes(errNoLeader)
	lost := &groupLog{} // its own log is behind, and nobody tells it more
	b := lost.joins(t, node, "data_dir: "+dir+"\n", errNoLeader)
	if !b.serves(t, "/extra") {
		t.Error("not served from the first moment")
	}
	b.wants(t, "GET", "/v1/services/extra", "", 200, `"in_force":true`)
	b.wants(t, "PUT", "/v1/services/extra", at("/other", node, ""), 503, "no_quorum")
	if err := b.Reload(b.write(t, node, "data_dir: "+dir+"\nlog: {level: debug}\n")); err != nil || !b.serves(t, "/extra") {
		t.Errorf("lost by a reload: %v", err)
	}
	l.mu.Lock()
	entries := l.entries
	l.mu.Unlock()
	lost.mu.Lock()
	lost.entries = entries
	lost.mu.Unlock()
	b.goes(nil)
	b.wants(t, "PUT", "/v1/services/extra", at("/other", node, ""), 200, `"in_force":true`)
	if err := b.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	empty := &groupLog{} // a group that knows of no settings, and says so
	c := empty.joins(t, node, "data_dir: "+dir+"\n")
	await(t, "the group's word counts", func() bool { return !c.serves(t, "/other") })
	c.wants(t, "GET", "/v1/services/extra", "", 404, "not_found")
}

func TestDamagedSettingsOnDiskAreSetAside(t *testing.T) {
	_, node := newServer(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, keptFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &groupLog{}
	m := l.joins(t, node, "data_dir: "+dir+"\n")
	if !m.serves(t, "/mcp") || strings.Count(m.out.String(), "run-time settings on disk are unusable") != 1 {
		t.Error("not served, or not told")
	}
	if kept, err := filepath.Glob(filepath.Join(dir, keptFile+"*")); err != nil || len(kept) == 0 {
		t.Errorf("the damaged file is gone: %v %v", kept, err)
	}
}

// A region and the orders about it go through the group: there are no links between these gateways.
func TestRegionsAndOrdersGoThroughTheGroup(t *testing.T) {
	_, node := newServer(t)
	_, far := newServer(t)
	l := &groupLog{}
	a, b := l.joins(t, node, ""), l.joins(t, node, "")
	a.wants(t, "PUT", "/v1/regions/eu-west", fmt.Sprintf(`{"via":"direct","rtt":"20ms","pools":{"tools":{"nodes":[{"id":"z","url":%q}]}}}`, far), 201, `"in_force":true`)
	a.wants(t, "PUT", "/v1/regions/us-east", `{"gateways":["10.0.0.1:9100"],"capacity":9}`, 201, `"in_force":true`)
	state := func(m *memberEdge, region string) (state string, there bool) {
		var all struct {
			Regions []struct {
				Name, State string
				Capacity    int
			}
			Settings []struct{ Name string }
		}
		if err := json.Unmarshal([]byte(m.ask(t, "GET", "/v1/regions", "").body), &all); err != nil {
			t.Fatal(err)
		}
		if len(all.Settings) != 2 {
			t.Errorf("settings %+v", all.Settings)
		}
		for _, r := range all.Regions {
			if r.Name == "us-east" && r.Capacity != 9 {
				return "", false
			}
			if r.Name == region {
				return r.State, true
			}
		}
		return "", false
	}
	await(t, "b knows the region", func() bool { _, there := state(b, "eu-west"); return there })
	a.wants(t, "PUT", "/v1/regions/eu-west/order", `{"state":"off"}`, 200, `"order":{"state":"off"`)
	await(t, "b carries the order out", func() bool { s, _ := state(b, "eu-west"); return s == "off" })
	b.wants(t, "PUT", "/v1/regions/moon/order", `{"state":"off"}`, 404, "unknown_region")
	b.wants(t, "PUT", "/v1/regions/us-east/order", `{"state":"off"}`, 409, "refused")
	b.wants(t, "DELETE", "/v1/regions/eu-west", "", 204, "")
	await(t, "the region leaves", func() bool {
		return !strings.Contains(a.ask(t, "GET", "/v1/regions", "").body, `"name":"eu-west","local"`)
	})
	// Settings and orders are apart: the order waits for a region of that name.
	b.wants(t, "PUT", "/v1/regions/eu-west", fmt.Sprintf(`{"via":"direct","pools":{"tools":{"nodes":[{"id":"z","url":%q}]}}}`, far), 201, "")
	await(t, "the order is in force again", func() bool { s, _ := state(a, "eu-west"); return s == "off" })
}

// An entry of a newer release stops the group's log here: others apply what this release cannot.
func TestNewerEntriesAreTheGroupsBusiness(t *testing.T) {
	for name, p := range map[string]Part{"settings": groupPart{settings.NewPart()}, "orders": groupPart{regional.NewAgreed()}} {
		if _, err := p.Apply(1, []byte(`{"format":9}`)); !errors.Is(err, authority.ErrNewer) {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.Restore([]byte(`{"format":9}`)); !errors.Is(err, authority.ErrNewer) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Apply(1, []byte(`{`)); err == nil || errors.Is(err, authority.ErrNewer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the gateway cannot run is shown as not followed, with the reason, and what was followed before still is.
func TestFailuresAreShown(t *testing.T) {
	_, node := newServer(t)
	l := &groupLog{}
	m := l.joins(t, node, "")
	m.wants(t, "PUT", "/v1/services/old", at("/old", node, ""), 201, "")
	revision := m.documents.now.Load().set.Revision()
	d, err := config.ParseDocument(settings.Routes, "new", []byte(`{"match":{"tool":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	part := settings.NewPart()
	for i, name := range []string{"old", "new"} {
		index := revision + uint64(i)
		command, err := settings.Put(settings.Routes, name, d.Body, settings.Condition{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Apply(index, command); err != nil {
			t.Fatal(err)
		}
	}
	waited := make(chan struct{})
	go func() {
		m.documents.await(t.Context(), part.Set().Revision())
		close(waited)
	}()
	m.documents.failed(part.Set(), errStopped)
	<-waited
	now := m.documents.now.Load()
	if _, left := now.misfits[document{settings.Routes, "new"}]; !left || len(now.misfits) != 1 {
		t.Errorf("%+v", now.misfits)
	}
	if !m.serves(t, "/old") || strings.Count(m.out.String(), errStopped.Error()) != 1 {
		t.Error("what was followed is lost, or the failure is not told")
	}
}
