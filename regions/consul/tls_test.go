package consul

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/consulproc"
)

// authority issues certificates for 127.0.0.1 and for clients.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = write(t, "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	key := a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return write(a.t, name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(a.t, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})))
}

// TestTLS asks a real agent that wants a client's certificate.
func TestTLS(t *testing.T) {
	a := newAuthority(t)
	serverCert, serverKey := a.issue("server.example")
	cert, key := a.issue("gateway.example")
	c := startAgent(t, consulproc.Config{CertFile: serverCert, KeyFile: serverKey, CAFile: a.file})
	good := ClientConfig{Address: c.URL(), CAFile: a.file, CertFile: cert, KeyFile: key}
	e := listen(t, quick(t, Config{Client: dial(t, good)}))
	e.fails(ErrEmptied)
	for name, tt := range map[string]struct {
		change func(*ClientConfig)
		good   bool
	}{
		"as it is":          {func(*ClientConfig) {}, true},
		"by its name":       {func(c *ClientConfig) { c.TLSName = "server.example" }, true},
		"no certificate":    {func(c *ClientConfig) { c.CertFile, c.KeyFile = "", "" }, false},
		"another authority": {func(c *ClientConfig) { c.CAFile = "" }, false},
		"another name":      {func(c *ClientConfig) { c.TLSName = "other.example" }, false},
	} {
		cfg := good
		tt.change(&cfg)
		if got := dial(t, cfg).Examine(t.Context(), nil); (got.Err == nil) != tt.good {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
