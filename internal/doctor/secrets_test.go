package doctor

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/config"
)

func TestSecretsThatEverybodyCanRead(t *testing.T) {
	dir := t.TempDir()
	token, key := filepath.Join(dir, "token"), filepath.Join(dir, "key")
	for _, file := range []string{token, key} {
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(token, 0o644); err != nil {
		t.Fatal(err)
	}
	e := newExamination(Options{})
	e.cfg = &config.Config{Admin: config.Admin{TokenFile: token}, Peer: config.Peer{KeyFile: key, CAFile: token}}
	e.cfg.Listen.TLS.KeyFile = filepath.Join(dir, "missing")
	e.secrets()
	if len(e.rows) != 1 {
		t.Fatalf("%d rows", len(e.rows))
	}
	expect(t, "token", e.rows[0].check, Warn, "every user", "chmod o-r "+token)
}
