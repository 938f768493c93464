package identity_test

import (
	"crypto"
	"crypto/tls"
	"testing"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// keyless signs with another key than its certificate's: the certificate of a node is no secret.
type keyless struct {
	crypto.Signer
	claims crypto.PublicKey
}

func (k keyless) Public() crypto.PublicKey { return k.claims }

// attacks are what impostors show in place of the certificate of the target, by what nodes must prove.
func (w *world) attack(t *testing.T, how string) tls.Certificate {
	t.Helper()
	l := leaf()
	switch how {
	case "other authority":
		return w.other.Issue(t, l)
	case "other name":
		l.DNS, l.URIs = []string{"search.example.com"}, []string{"spiffe://example.org/other"}
	case "copied certificate":
		c := w.right
		c.PrivateKey = keyless{identitytest.NewKey(t), w.right.Leaf.PublicKey}
		return c
	}
	return w.trusted.Issue(t, l)
}

func TestImpostorIsSentNothing(t *testing.T) {
	for _, test := range []struct{ want, how string }{
		{"tls_name", "other authority"},
		{"tls_name", "other name"},
		{"tls_name", "copied certificate"},
		{"spiffe_id", "other name"},
		{"spki_sha256", "other key"},
		{"spki_sha256", "copied certificate"},
	} {
		t.Run(test.want+", "+test.how, func(t *testing.T) {
			w := start(t, test.want, often)
			a := release(t, w, everything)
			a.settle()
			w.target.kill()
			impostor := open(t, w.target.Address(), startNode(t, "impostor"), w.attack(t, test.how))
			w.await(t, "the impostor is found out", func() bool { return w.node("target").Unproven })
			a.settle()
			if n := w.node("target"); n.State != regions.Unknown || n.Facts != nil || n.Problem == "" {
				t.Errorf("the target is %+v", n.Observation)
			}
			w.finish(t, a, impostor)
		})
	}
}

// A table that is believed before anything is verified, as one from disk is, sends every kind of request to the
// impostor's address, again and again.
func TestImpostorInATableIsSentNothing(t *testing.T) {
	for name, kinds := range map[string]int{"calls": stateless, "slow calls": slowly, "sessions": legacy, "streams": listening, "everything": everything} {
		t.Run(name, func(t *testing.T) {
			w := start(t, "tls_name", often)
			w.target.kill()
			impostor := open(t, w.target.Address(), startNode(t, "impostor"), w.attack(t, "other authority"))
			w.await(t, "the impostor is found out", func() bool { return w.node("target").Unproven })
			w.forced.Store(true)
			w.await(t, "the table is believed", func() bool {
				return w.gateway.Table().ByName["tools"].Node("target").State == regions.Healthy
			})
			a := release(t, w, kinds)
			w.await(t, "traffic meets the impostor", func() bool { return w.fakes.Load() > 0 })
			a.settle()
			w.forced.Store(false)
			w.finish(t, a, impostor)
		})
	}
}

// The node goes silent with calls under way, and an impostor has its address. No check is due: suspect probes meet
// it, or find nobody where they had begun before, and have the address checked.
func TestImpostorInPlaceOfASilentNodeIsSentNothing(t *testing.T) {
	w := start(t, "spki_sha256", seldom)
	a := release(t, w, everything)
	a.settle()
	impostor := w.target.replace(t, startNode(t, "impostor"), w.attack(t, "other key"))
	w.await(t, "the impostor is found out", func() bool { return w.node("target").Unproven })
	a.settle()
	w.finish(t, a, impostor)
}

// finish checks what the impostor got and brings the node back.
func (w *world) finish(t *testing.T, a *agents, impostor *place) {
	t.Helper()
	impostor.kill()
	w.target.kill()
	back := open(t, w.target.Address(), w.target.backend, w.right)
	w.await(t, "the node is back", func() bool { return w.state("target") == regions.Healthy })
	a.settle()
	a.end()
	worked := a.worked()
	t.Logf("impostor: %d bytes over %d connections; traffic met it %d times; %d calls, %d slow ones, %d in sessions, %d streams opened, %d failed",
		impostor.Received(), impostor.Connections(), w.fakes.Load(), worked[0], worked[1], worked[2], worked[3], a.failed.Load())
	if impostor.Received() != 0 || impostor.Connections() == 0 {
		t.Errorf("the impostor received %d bytes over %d connections", impostor.Received(), impostor.Connections())
	}
	if a.failed.Load() != 0 {
		t.Errorf("%d calls failed", a.failed.Load())
	}
	if back.Received() == 0 {
		t.Error("the node that is back received nothing")
	}
}

// The control: what the others count is there to be counted where nothing has to be proven.
func TestWithoutAnIdentityTheImpostorIsSentAll(t *testing.T) {
	w := start(t, wantNothing, often)
	a := release(t, w, everything)
	a.settle()
	w.target.kill()
	impostor := open(t, w.target.Address(), startNode(t, "impostor"), w.attack(t, "other authority"))
	w.await(t, "the impostor passes for the node", func() bool { return w.state("target") == regions.Healthy && impostor.Received() > 10_000 })
	a.settle()
	a.end()
	t.Logf("impostor: %d bytes over %d connections", impostor.Received(), impostor.Connections())
}
