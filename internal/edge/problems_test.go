package edge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/internal/peer"
)

// A file that is refused hurts at the next start, which may be months later: until then status says so.
func TestRefusedFileIsAProblem(t *testing.T) {
	_, url := newServer(t)
	cfg := load(t, url)
	e := startEdge(t, cfg)
	e.NoteFile(errors.New("quorate.yaml:3: listen: is not a known key\nquorate.yaml:9: services: is missing"))
	got := e.Status().Problems
	if len(got) != 1 || !strings.Contains(got[0], "is refused") || !strings.Contains(got[0], "known key; quorate.yaml:9") {
		t.Errorf("%q", got)
	}
	if err := e.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if got := e.Status().Problems; len(got) != 0 {
		t.Errorf("the good file is back: %q", got)
	}
	other := *cfg
	other.Name = "gw-other"
	if err := e.Reload(&other); err == nil || len(e.Status().Problems) != 1 {
		t.Errorf("%v, %q", err, e.Status().Problems)
	}
}

func TestCertificateThatEndsIsAProblem(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	if err := errors.Join(ca.Init(dir, ca.Options{}), issue(dir)); err != nil {
		t.Fatal(err)
	}
	c, err := peer.LoadCredentials(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "us-east-gw-1.crt"), filepath.Join(dir, "us-east-gw-1.key"))
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]string{
		0: "", 4 * 24 * time.Hour: "", 6 * 24 * time.Hour: "the peer certificate ends at", 8 * 24 * time.Hour: "the peer certificate ended at",
	} {
		switch got := strings.Join(certificateProblems(c, now.Add(after)), "\n"); {
		case want == "" && got != "", !strings.HasPrefix(got, want), want != "" && !strings.Contains(got, "quorate ca issue us-east gw-1"):
			t.Errorf("after %s: %q", after, got)
		}
	}
}

// Renewed by half, or by the wrong hand: the old certificate goes on, and ends.
func TestCertificateFilesThatAreNotUsedAreAProblem(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(ca.Init(dir, ca.Options{}), issue(dir)); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "us-east-gw-1.key")
	c, err := peer.LoadCredentials(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "us-east-gw-1.crt"), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "a problem", func() bool { return len(certificateProblems(c, time.Now())) == 1 })
}

// Closed gates and gateways that are down do not say why: a certificate, a second gateway of this name, a firewall.
func TestLinksThatAreDownAreProblems(t *testing.T) {
	got := linkProblems([]peer.Link{
		{Address: "10.0.1.5:9100", Error: peer.ErrTwin.Error() + ", us-east/gw-1"},
		{Address: "10.0.2.5:9100", Error: "tls handshake: x509: certificate signed by unknown authority"},
		{Address: "10.0.3.5:9100", Error: "it was down before", Up: true}, {Address: "10.0.4.5:9100"}, {Address: "10.0.2.5:4711", In: true, Error: "EOF"},
	})
	want := []string{"10.0.1.5:9100 has this one's name", "no link to the gateway at 10.0.2.5:9100: tls handshake: x509: certificate signed by unknown authority"}
	if len(got) != len(want) || !strings.Contains(got[0], want[0]) || got[1] != want[1] {
		t.Errorf("%q", got)
	}
}

// A voter whose disk is full goes on as a gateway, and counts as a voter for all who look: but it does not vote.
func TestVoterThatItsDiskSilencesIsAProblem(t *testing.T) {
	_, url := newServer(t)
	e := startEdge(t, load(t, url))
	await(t, "ready", func() bool { return len(e.Settled()) == 0 })
	e.happened(events.GateOpened, "gw-1", "")
	if len(e.Settled())+len(e.Status().Problems) != 0 {
		t.Errorf("an open gate is no problem: %q %q", e.Settled(), e.Status().Problems)
	}
	e.happened(events.VoterFailed, "gw-1", "no space left on device")
	if got := e.Status().Problems; len(got) != 1 || !strings.Contains(got[0], "acknowledges nobody") || !strings.Contains(got[0], "no space left on device; make room") {
		t.Errorf("%q", got)
	}
	if got := e.Settled(); len(got) != 1 || !strings.Contains(got[0], "acknowledges nobody") || strings.Contains(got[0], "no space") {
		t.Errorf("everybody may read %q", got)
	}
	if all := e.events.After(0).Events; len(all) < 2 || all[len(all)-1].Kind != events.VoterFailed || all[len(all)-1].Text != "no space left on device" {
		t.Errorf("the event is as before: %+v", all)
	}
}

// Whoever rotates a token by way of a bad file believes that the old one is gone.
func TestTokenOfBeforeIsAProblem(t *testing.T) {
	_, url := newServer(t)
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := startEdge(t, written(t, filepath.Join(dir, "quorate.yaml"), fmt.Sprintf(`name: gw-1
region: us-east
listen: {address: "127.0.0.1:0"}
admin: {address: "127.0.0.1:0", token_file: token}
services: [{name: tools, path: /mcp, discover: [{static: {nodes: [{id: a, url: %q}]}}]}]
`, url)))
	if got := e.Status().Problems; len(got) != 0 {
		t.Errorf("%q", got)
	}
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	await(t, "a problem", func() bool { return len(e.Status().Problems) == 1 })
	if got := e.Status().Problems[0]; !strings.Contains(got, "the token of before still is") || strings.Contains(got, "secret") {
		t.Error(got)
	}
}

func issue(dir string) error {
	_, err := ca.Issue(dir, "us-east", "gw-1", ca.Options{})
	return err
}
