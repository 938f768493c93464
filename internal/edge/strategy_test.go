package edge

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/settings"
)

// A witness has no settings but the strategy, which it asks while it leads; what stands in its file counts before.
func TestWitnessFollowsTheStrategy(t *testing.T) {
	for file, want := range map[string]string{"": "oldest_node", "split_brain: {strategy: configured_master, master: gw-1}\n": "configured_master"} {
		dir := t.TempDir()
		if err := ca.Init(dir, ca.Options{}); err != nil {
			t.Fatal(err)
		}
		files, err := ca.Issue(dir, "r", "witness", ca.Options{})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "witness.yaml")
		text := "name: witness\nregion: r\ndata_dir: " + dir + "\ncontrol: {expect: [gw-1, gw-2, witness], join: [\"127.0.0.1:1\"], role: witness}\n" +
			fmt.Sprintf("peer: {address: \"127.0.0.1:9100\", ca_file: %q, cert_file: %q, key_file: %q}\n", filepath.Join(dir, ca.CertFile), files.Cert, files.Key) + file
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := &Edge{}
		e.cfg.Store(cfg)
		e.documents = newDocuments(cfg, slog.New(slog.DiscardHandler))
		command, err := settings.Put(settings.Strategies, config.SplitBrainStrategy, []byte(`{"strategy":"oldest_node"}`), settings.Condition{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.documents.part.Apply(1, command); err != nil {
			t.Fatal(err)
		}
		if got := e.chosen().name; got != want {
			t.Errorf("file %q: %s, want %s", file, got, want)
		}
	}
}
