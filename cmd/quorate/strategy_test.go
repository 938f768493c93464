package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

// anyone is a strategy by which any voter alone may write.
func anyone() {
	plugins.Serve(func(in strategies.Input) (strategies.Rule, error) {
		var parts []strategies.Part
		for _, name := range in.Roster.Names() {
			parts = append(parts, strategies.One(name))
		}
		return strategies.AtLeast(1, parts...), nil
	})
}

// sleeper never decides.
func sleeper() {
	plugins.Serve(func(strategies.Input) (strategies.Rule, error) { select {} })
}

// TestExampleStrategy builds examples/strategy-go as its reader would, and checks it.
func TestExampleStrategy(t *testing.T) {
	binary := compiled(t, "../../examples/strategy-go", ".")
	var out, log bytes.Buffer
	if code := run([]string{"strategy", "check", binary}, &out, &log); code != exitGood {
		t.Errorf("exit code %d\n%s%s", code, &out, &log)
	}
	if want := "ok      four voters in two regions: 5 of (gw-1*3, gw-2*2, gw-3*2, gw-4*2)"; !strings.Contains(out.String(), want) {
		t.Errorf("%s\nwant %s", &out, want)
	}
	if cfg := configured(t, out.String()); cfg.SplitBrain.Plugin.Path != binary {
		t.Errorf("%+v", cfg.SplitBrain)
	}
}

// configured reads the configuration that a check has printed.
func configured(t *testing.T, printed string) *config.Config {
	t.Helper()
	_, settings, _ := strings.Cut(printed, "to use it:\n")
	file := filepath.Join(t.TempDir(), "quorate.yaml")
	text := "name: gw-1\nregion: us-east\nservices: [{name: tools, path: /mcp, discover: [{static: {nodes: []}}]}]\n" + settings
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, nil)
	if err != nil {
		t.Fatalf("what it prints is no configuration: %v\n%s", err, text)
	}
	return cfg
}

// TestExampleReplications builds the examples of replication strategies as their readers would, and checks them.
func TestExampleReplications(t *testing.T) {
	folder := t.TempDir()
	for _, tc := range []struct {
		example, settings string
		want              []string
	}{
		{"replication-go", "", []string{
			"ok      5 gateways, factor 8: async, 8 copies, spread over region, 10 tries of 1m0s, in ",
			"it keeps the contract of a replication strategy (8 points in ",
		}},
		{"store-go", `{"folder": "` + folder + `"}`, []string{
			"ok      3 gateways, factor 2: store, 0 copies",
			"ok      what was kept outlives a kill: 274 records and a promise, in ",
			"it keeps the contract of a replication strategy and a store (20 points in ",
		}},
	} {
		t.Run(tc.example, func(t *testing.T) {
			binary := compiled(t, "../../examples/"+tc.example, ".")
			var out, log bytes.Buffer
			if code := run([]string{"strategy", "check", "--replication", "--settings", tc.settings, binary}, &out, &log); code != exitGood {
				t.Errorf("exit code %d\n%s%s", code, &out, &log)
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s\nwant %s", &out, want)
				}
			}
			if cfg := configured(t, out.String()); cfg.Replication.Plugin.Path != binary || string(cfg.Replication.Plugin.Settings) != strings.ReplaceAll(tc.settings, ": ", ":") {
				t.Errorf("%+v", cfg.Replication)
			}
		})
	}
	if found, err := filepath.Glob(folder + "/*/*.json"); err != nil || len(found) == 0 {
		t.Errorf("the store has kept nothing in its folder: %v", err)
	}
}

// compiled builds a command of the module in dir.
func compiled(t *testing.T, dir, command string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "built")
	cmd := exec.Command("go", "build", "-o", binary, command)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOFLAGS=-mod") })
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build in %s: %v\n%s", dir, err, out)
	}
	return binary
}

// TestPythonStrategy builds examples/strategy-python with the system's tools, and checks it.
func TestPythonStrategy(t *testing.T) {
	needsPython(t)
	binary := filepath.Join(t.TempDir(), "in-python")
	if out, err := exec.Command("../../examples/strategy-python/build.sh", binary).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var out, log bytes.Buffer
	if code := run([]string{"strategy", "check", "--option", "home=region-1", binary}, &out, &log); code != exitGood {
		t.Errorf("exit code %d\n%s%s", code, &out, &log)
	}
	if want := "ok      three voters in two regions: gw-1, in "; !strings.Contains(out.String(), want) {
		t.Errorf("%s\nwant %s", &out, want)
	}
	out.Reset()
	if code := run([]string{"strategy", "check", binary}, &out, &log); code != exitFailure || !strings.Contains(out.String(), "no home is named") {
		t.Errorf("without its option: exit code %d\n%s%s", code, &out, &log)
	}
}

// needsPython skips where the Python example cannot be built, which CI must not.
func needsPython(t *testing.T) {
	t.Helper()
	modules := exec.Command("/usr/bin/python3", "-c", "import grpc, google.protobuf, cryptography")
	_, err := exec.LookPath("protoc")
	if _, e := os.Stat("/usr/bin/grpc_python_plugin"); err == nil {
		err = e
	}
	if out, e := modules.CombinedOutput(); err == nil && e != nil {
		err = fmt.Errorf("%w: %s", e, out)
	}
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("LOUD: the Python strategy is not tested; scripts/install-test-deps.sh installs what it needs:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
