package terraform_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// mirror is what make install-provider makes, once for all tests, and a settings file that names it.
var mirror = sync.OnceValues(func() (rc string, err error) {
	dir := filepath.Join(filepath.Dir(os.Getenv("TF_CLI_CONFIG_FILE")), "mirror")
	out, err := exec.CommandContext(context.Background(), "../../scripts/install-provider", dir).Output()
	if err != nil {
		return "", fmt.Errorf("install-provider: %w", err)
	}
	rc = filepath.Join(dir, "terraformrc")
	return rc, os.WriteFile(rc, out, 0o600)
})

// workspace is a folder in which Terraform itself runs.
type workspace struct {
	t   *testing.T
	dir string
	env []string
}

const required = `terraform {
  required_providers {
    quorate = { source = "quorate/quorate" }
  }
}
`

// newWorkspace has a configuration and a provider from the mirror, which terraform init finds without a network.
func newWorkspace(t *testing.T, hcl string) *workspace {
	t.Helper()
	needsTerraform(t)
	w := &workspace{t: t, dir: t.TempDir()}
	w.write("main.tf", required+hcl)
	w.init()
	return w
}

func (w *workspace) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *workspace) init() {
	w.t.Helper()
	rc, err := mirror()
	if err != nil {
		w.t.Fatal(err)
	}
	w.env = append(w.env, "TF_CLI_CONFIG_FILE="+rc, "QUORATE_ADMIN_TOKEN="+token)
	w.must("init", "-input=false")
}

// run runs Terraform to its end; env comes after the workspace's.
func (w *workspace) run(env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.WithoutCancel(w.t.Context()), terraform, append(args, "-no-color")...)
	cmd.Dir, cmd.Env = w.dir, append(append(os.Environ(), w.env...), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	// Boxes and line ends of messages are Terraform's own.
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(out.String())), " "), err
}

func (w *workspace) must(args ...string) string {
	w.t.Helper()
	out, err := w.run(nil, args...)
	if err != nil {
		w.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// through makes the provider ask a gateway.
func (w *workspace) through(g *gateway) []string { return []string{"QUORATE_ADMIN_URL=" + g.admin} }

// apply must succeed, and leave nothing to do.
func (w *workspace) apply(g *gateway) {
	w.t.Helper()
	for _, args := range [][]string{{"apply", "-auto-approve"}, {"plan", "-detailed-exitcode"}} {
		if out, err := w.run(w.through(g), args...); err != nil {
			w.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// holdsNot checks the files that Terraform keeps.
func (w *workspace) holdsNot(secret string) {
	w.t.Helper()
	for _, name := range []string{"terraform.tfstate", "terraform.tfstate.backup", "plan"} {
		text, err := os.ReadFile(filepath.Join(w.dir, name))
		if err == nil && bytes.Contains(text, []byte(secret)) {
			w.t.Errorf("%s holds the token", name)
		}
	}
}

// raw is an output as it is.
func (w *workspace) raw(name string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), terraform, "output", "-raw", name)
	cmd.Dir, cmd.Env = w.dir, append(os.Environ(), w.env...)
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out)
}
