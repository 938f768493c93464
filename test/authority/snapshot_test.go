package authority_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestSnapshot saves the state of a fleet, a service set at run time, and has another fleet, formed from nothing, take it
// over. What is damaged is
// refused and changes nothing.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "snapshot")
	first, a, _, _ := three(t, "")
	id := a.cluster().ID
	const path = "/v1/services/search"
	body := []byte(`{"path":"/search","discover":[{"static":{"nodes":[{"id":"a","url":"` + first.nodes[0].url + `"}]}}]}`)
	if code, said, err := a.ask(http.MethodPut, path, "application/json", body); code != http.StatusOK && code != http.StatusCreated {
		t.Fatalf("a service set at run time: %d %s %v", code, said, err)
	}
	if code, said := a.operator("snapshot", "save", file); code != 0 {
		t.Fatalf("save: %d %s", code, said)
	}
	saved, err := os.ReadFile(file)
	if err != nil || len(saved) == 0 {
		t.Fatalf("%d bytes, %v", len(saved), err)
	}

	f, c, d, _ := three(t, "")
	if code := c.status(path); code != http.StatusNotFound {
		t.Errorf("control: the new fleet knows the service: %d", code)
	}
	damaged := append([]byte{}, saved...)
	damaged[len(damaged)/2] ^= 1
	for what, b := range map[string][]byte{"damaged": damaged, "cut": saved[:len(saved)/2], "no snapshot": []byte("hello")} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, said := d.operator("snapshot", "restore", bad); code == 0 {
			t.Errorf("control: what is %s is restored: %s", what, said)
		}
	}
	if code, said := d.operator("snapshot", "restore", file); code != 0 {
		t.Errorf("restore: %d %s", code, said)
	}
	for _, m := range []*member{c, d} {
		f.await(healed, m.name+" has the service of the snapshot", func() bool { return m.status(path) == http.StatusOK })
	}
	f.writable(c, d)
	if code, said := c.operator("verify"); code != 0 {
		t.Errorf("verify: %d %s", code, said)
	}
	if now := c.cluster().ID; now == id || now == "" {
		t.Errorf("cluster %q, the snapshot is of %q: roster and rule are a fleet's own", now, id)
	}
	t.Logf("N=1 snapshot of %d bytes restored into a new fleet, 3 that are none refused", len(saved))
}
