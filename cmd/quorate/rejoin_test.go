package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// stored is a configuration whose gateway has a store in a folder of its data_dir.
func stored(t *testing.T, folder, more string) (file, store string) {
	t.Helper()
	dir := t.TempDir()
	file, store = filepath.Join(dir, "quorate.yaml"), filepath.Join(dir, "data", folder, "store")
	if err := os.MkdirAll(store, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "name: gw-1\nregion: us-east\ndata_dir: data\n" + more + "services: [{name: tools, path: /mcp, discover: [{static: {nodes: []}}]}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, store
}

// A fleet of one would lose its run-time settings, and has nobody to get others from.
func TestRejoinIsForFleets(t *testing.T) {
	file, store := stored(t, "alone", "")
	if code, out := command("rejoin", "--config", file); code != exitFailure || !strings.Contains(out, "no control section") {
		t.Errorf("%d %s", code, out)
	}
	if _, err := os.Stat(store); err != nil {
		t.Error(err)
	}
}

func TestRejoinWhileTheGatewayRuns(t *testing.T) {
	file, store := stored(t, "control", "control: {expect: [gw-1]}\n")
	held, err := os.Create(filepath.Join(filepath.Dir(store), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if code, out := command("rejoin", "--config", file); code != exitFailure || !strings.Contains(out, "gw-1 runs: stop it first") {
		t.Errorf("%d %s", code, out)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if code, out := command("rejoin", "--config", file); code != exitGood || !strings.Contains(out, "its store is now") {
		t.Errorf("%d %s", code, out)
	}
}
