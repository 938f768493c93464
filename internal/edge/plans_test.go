package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/plugins/host"
)

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
	read := func(replication string) *config.Config {
		path := filepath.Join(t.TempDir(), "quorate.yaml")
		text := fmt.Sprintf("name: gw\nregion: r\nlisten: {address: \"127.0.0.1:0\"}\nadmin: {address: \"127.0.0.1:0\"}\nservices:\n"+
			"  - {name: tools, path: /mcp, discover: [{static: {nodes: [{id: a, url: %q}]}}]}\n%s", url, replication)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
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
