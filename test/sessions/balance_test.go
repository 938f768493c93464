package sessions_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/child"
)

// haproxy finds HAProxy, also in Debian's place, which is not on every PATH. In CI it has to be there.
func haproxy(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no haproxy; run scripts/install-test-deps.sh")
	}
	t.Skip("NOT TESTED, agents behind HAProxy: it is missing; run scripts/install-test-deps.sh")
	return ""
}

// documented is the first block of a language in a document.
func documented(t *testing.T, document, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + document)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatalf("docs/%s has no block of %s", document, language)
	}
	return string(m[1])
}

// balance runs HAProxy as docs/edge.md says, at the agents' place, in front of these members, and returns its URL. All
// agents are at the first one, but for few, until it is down.
func (w *world) balance(first *member, others ...*member) string {
	w.t.Helper()
	return w.front(append([]*member{first}, others...), " weight 1")
}

// spread is the same, and agents are spread over all of them by their addresses.
func (w *world) spread(members ...*member) string {
	w.t.Helper()
	return w.front(members, " weight 256")
}

func (w *world) front(members []*member, others string) string {
	w.t.Helper()
	path := haproxy(w.t)
	address := w.edge.address()
	var b strings.Builder
	seen := 0
	for line := range strings.Lines(documented(w.t, "edge.md", "haproxy")) {
		switch word := strings.TrimSpace(line); {
		case strings.HasPrefix(word, "bind "):
			fmt.Fprintf(&b, "  bind %s\n", address)
		case strings.HasPrefix(word, "server "):
			seen++
		default:
			b.WriteString(line)
		}
	}
	if seen != 3 {
		w.t.Fatalf("docs/edge.md names %d servers", seen)
	}
	for i, m := range members {
		_, port, err := net.SplitHostPort(m.admin)
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&b, "  server %s %s port %s", m.name, m.listen, port)
		if i > 0 {
			b.WriteString(others)
		} else {
			b.WriteString(" weight 256")
		}
		b.WriteString("\n")
	}
	file := filepath.Join(w.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	said := new(lines)
	p, _, err := w.edge.group.Start(w.t.Context(), child.Spec{Path: path, Args: []string{"-db", "-f", file}, Log: said})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Kill)
	url := "http://" + address + "/mcp"
	w.await(20*time.Second, "HAProxy reaches a gateway", func() bool {
		select {
		case <-p.Done():
			w.t.Fatalf("HAProxy ended: %s", said)
		default:
		}
		return w.raw(url).read().good()
	})
	return url
}
