package terraform_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const tree = "../../terraform"

// modules are the folders of Terraform's that there are.
func modules(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"modules/*", "examples/*"} {
		found, err := filepath.Glob(filepath.Join(tree, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 3 {
		t.Fatalf("only %d modules found", len(all))
	}
	return all
}

// copied is a workspace within a copy of the whole tree, so that nothing is written into the repository.
func copied(t *testing.T, module string) *workspace {
	t.Helper()
	needsTerraform(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(tree)); err != nil {
		t.Fatal(err)
	}
	below, err := filepath.Rel(tree, module)
	if err != nil {
		t.Fatal(err)
	}
	w := &workspace{t: t, dir: filepath.Join(dir, below)}
	w.init()
	return w
}

// Every module is formatted, valid, and passes the tests that it brings.
func TestModules(t *testing.T) {
	needsTerraform(t)
	for _, module := range modules(t) {
		t.Run(filepath.Base(module), func(t *testing.T) {
			w := copied(t, module)
			w.must("fmt", "-check", "-recursive", "-diff")
			w.must("validate")
			tests, err := fs.Glob(os.DirFS(module), "tests/*.tftest.hcl")
			if err != nil || len(tests) == 0 {
				t.Fatalf("it brings no test: %v", err)
			}
			if out := w.must("test"); !strings.Contains(out, " passed, 0 failed") || strings.Contains(out, " 0 passed") {
				t.Error(out)
			}
		})
	}
}

// kubernetesHCL renders what deploy/kubernetes holds.
const kubernetesHCL = `module "region" {
  source   = "../../modules/kubernetes-region"
  name     = "us-east"
  image    = "quorate:latest"
  replicas = 3
  expect   = ["quorate-us-east-0", "quorate-us-east-1", "quorate-us-east-2"]
  services = [{ name = "tools", path = "/mcp", discover = [{ static = { nodes = [{ id = "a", url = "http://tools.default.svc:9001/mcp" }] } }] }]
}

output "yaml" { value = module.region.yaml }
`

const manifests = "../../deploy/kubernetes/quorate.yaml"

// The plain manifests are what the module renders. UPDATE=1 writes them anew.
func TestPlainManifestsAreTheModules(t *testing.T) {
	needsTerraform(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(tree)); err != nil {
		t.Fatal(err)
	}
	w := &workspace{t: t, dir: filepath.Join(dir, "examples", "rendered")}
	if err := os.MkdirAll(w.dir, 0o750); err != nil {
		t.Fatal(err)
	}
	w.write("main.tf", required+kubernetesHCL)
	w.init()
	w.must("apply", "-auto-approve")
	rendered := head + w.raw("yaml")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(manifests, []byte(rendered), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(manifests)
	if err != nil || string(kept) != rendered {
		t.Errorf("%s is not what the module renders (UPDATE=1 writes it anew): %v", manifests, err)
	}
}

const head = `# A region of three gateways that are the fleet's first voters: what terraform/modules/kubernetes-region renders.
# The Secrets quorate-identity (ca.crt, and POD.crt and POD.key of each gateway, as quorate ca issue makes them) and
# quorate-admin (token) must be there first.
`

// The plain unit is the module's, with its defaults.
func TestPlainUnitIsTheModules(t *testing.T) {
	template, err := os.ReadFile(filepath.Join(tree, "modules", "region", "quorate.service.tftpl"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("${binary}", "/usr/local/bin/quorate", "${config_dir}", "/etc/quorate").Replace(string(template))
	const file = "../../deploy/systemd/quorate.service"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil || string(kept) != want {
		t.Errorf("%s is not the template with its defaults (UPDATE=1 writes it anew): %v", file, err)
	}
}
