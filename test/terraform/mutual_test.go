package terraform_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/quorate/quorate/internal/ca"
)

// mutual is an admin listener that asks for client certificates, and an operator who has one.
type mutual struct {
	cert, key string      // the listener's; cert is all that vouches for it
	operators string      // who vouches for operators
	mine      ca.Files    // an operator's
	client    *tls.Config // the same operator, without Terraform
}

func newMutual(t *testing.T) *mutual {
	t.Helper()
	dir := t.TempDir()
	m := &mutual{cert: filepath.Join(dir, "admin.crt"), key: filepath.Join(dir, "admin.key")}
	m.mine, m.operators = operator(t, filepath.Join(dir, "operators"))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	listener := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, listener, listener, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(file, kind string, der []byte) {
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(m.cert, "CERTIFICATE", der)
	write(m.key, "PRIVATE KEY", secret)
	pair, err := tls.LoadX509KeyPair(m.mine.Cert, m.mine.Key)
	if err != nil {
		t.Fatal(err)
	}
	m.client = &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	m.client.RootCAs.AddCert(made)
	return m
}

// operator is a certificate of an authority of its own.
func operator(t *testing.T, dir string) (ca.Files, string) {
	t.Helper()
	if err := ca.Init(dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	files, err := ca.Issue(dir, "ops", "terraform", ca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return files, filepath.Join(dir, ca.CertFile)
}

// A listener that asks for client certificates lets in who has one, and the provider says which attribute is missing or
// wrong where it does not.
func TestMutualTLS(t *testing.T) {
	m := newMutual(t)
	f := form(t, m)
	strangers, _ := operator(t, filepath.Join(t.TempDir(), "strangers"))
	who := func(ca string, files ca.Files) string {
		attributes := fmt.Sprintf("  address = %q\n", f.gateways[0].admin)
		for name, file := range map[string]string{"ca_file": ca, "cert_file": files.Cert, "key_file": files.Key} {
			if file != "" {
				attributes += fmt.Sprintf("  %s = %q\n", name, file)
			}
		}
		return "provider \"quorate\" {\n" + attributes + "}\n"
	}
	const route = "resource \"quorate_route\" \"it\" {\n  name = \"charge\"\n  match = { tool = \"charge_*\" }\n  limit = 7\n}\n"
	const nodes = "data \"quorate_nodes\" \"it\" {}\n"
	for name, c := range map[string]struct{ hcl, want string }{
		"no certificate":               {who(m.cert, ca.Files{}) + route, `(?s)does\s+not\s+let\s+this\s+provider\s+in.*cert_file\s+and\s+key_file`},
		"no certificate, only reading": {who(m.cert, ca.Files{}) + nodes, `(?s)does\s+not\s+let\s+this\s+provider\s+in.*cert_file\s+and\s+key_file`},
		"a stranger's":                 {who(m.cert, strangers) + route, `(?s)does\s+not\s+let\s+this\s+provider\s+in.*cert_file\s+and\s+key_file`},
		"nobody vouches for it":        {who(m.operators, m.mine) + route, `(?s)ca_file\s+does\s+not\s+vouch`},
		"half a pair":                  {who(m.cert, ca.Files{Cert: m.mine.Cert}) + route, `(?s)cert_file\s+and\s+key_file\s+belong\s+together`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: []resource.TestStep{
				{Config: c.hcl, ExpectError: regexp.MustCompile(c.want)},
			}})
		})
	}
	if got := f.gateways[1].settings("/v1/routes/charge"); got != "" {
		t.Errorf("somebody without a certificate made the route %s", got)
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: []resource.TestStep{{
		Config: who(m.cert, m.mine) + route + nodes, ConfigPlanChecks: empty(),
		Check: resource.ComposeTestCheckFunc(
			resource.TestCheckResourceAttr("data.quorate_nodes.it", "nodes.0.service", "tools"),
			resource.TestCheckResourceAttr("quorate_route.it", "limit", "7"),
		),
	}}})
}
