package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/plugins/host"
)

// planning is a configuration with one service, and more.
func planning(t *testing.T, url, more string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "quorate.yaml")
	text := fmt.Sprintf("name: gw\nregion: r\nlisten: {address: \"127.0.0.1:0\"}\nadmin: {address: \"127.0.0.1:0\"}\nservices:\n"+
		"  - {name: tools, path: /mcp, discover: [{static: {nodes: [{id: a, url: %q}]}}]}\n%s", url, more)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A file whose replication strategy cannot run on this machine is refused whole: nothing of the rest of it is taken over.
func TestReloadWithoutTheStrategysProgram(t *testing.T) {
	_, url := newServer(t)
	t.Setenv("PATH", t.TempDir())
	e := startEdge(t, planning(t, url, ""))
	more := "  - {name: extra, path: /extra, discover: [{static: {nodes: []}}]}\n"
	next := planning(t, url, more+"replication: {strategy: jetstream, factor: 1, plugin: {settings: {urls: [\"nats://127.0.0.1:1\"]}}}\n")
	if err := e.Reload(next); err == nil || !strings.Contains(err.Error(), "quorate-jetstream") {
		t.Fatalf("it is taken: %v", err)
	}
	if n := len(e.cfg.Load().Services); n != 1 {
		t.Errorf("the refused file has put %d services in force", n)
	}
	if got := e.sessions.plans.ofStore("extra").Copies; got != 2 {
		t.Errorf("the refused file's plan is in force: %d copies", got)
	}
	if err := e.Reload(planning(t, url, more)); err != nil || len(e.cfg.Load().Services) != 2 {
		t.Errorf("the next file: %v", err)
	}
}

// What a plugin plans is what sessions are kept by, also after a reload; until it has answered they are copied.
func TestPluginPlans(t *testing.T) {
	_, url := newServer(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := host.Checksum(self)
	if err != nil {
		t.Fatal(err)
	}
	read := func(replication string) *config.Config { return planning(t, url, replication) }
	plugin := fmt.Sprintf("replication: {strategy: mine, factor: 3, plugin: {path: %q, sha256: %q, args: [strategy, quorum]}}\n", self, sum)
	e := startEdge(t, read(plugin))
	class := func(want keeper.Class) func() bool {
		return func() bool { return e.sessions.plans.ofKeeper("tools").Class == want }
	}
	await(t, "the plugin's plan", class(keeper.Quorum))
	if got := e.sessions.plans.ofStore("tools").Copies; got != 3 {
		t.Errorf("%d copies are to stay", got)
	}
	if err := e.Reload(read("")); err != nil {
		t.Fatal(err)
	}
	if got := e.sessions.plans.ofKeeper("tools"); got.Class != keeper.Async {
		t.Errorf("after a reload: %+v", got)
	}
	if err := e.Reload(read(plugin)); err != nil {
		t.Fatal(err)
	}
	await(t, "the plugin's plan again", class(keeper.Quorum))
}
