package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// keyPairOf writes a self-signed certificate for name and its key to dir.
func keyPairOf(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), // also good in the time of a bubble
		IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	put(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	put(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return certFile, keyFile
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// served makes a handshake and returns the name in the server's certificate, or the error.
func served(server *tls.Config, client *tls.Config) (string, string, error) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(a, server).Handshake() }()
	c := tls.Client(b, client)
	if err := c.Handshake(); err != nil {
		return "", "", err
	}
	if err := <-done; err != nil {
		return "", "", err
	}
	state := c.ConnectionState()
	return state.PeerCertificates[0].Subject.CommonName, state.NegotiatedProtocol, nil
}

func TestServerTLSReadsChangedFiles(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := keyPairOf(t, dir, "first")
	synctest.Test(t, func(t *testing.T) {
		server, err := ServerTLS(certFile, keyFile, "")
		if err != nil {
			t.Fatal(err)
		}
		client := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
		shows := func(want string) {
			t.Helper()
			if got, proto, err := served(server, client); err != nil || got != want || proto != "h2" {
				t.Errorf("got %q over %q, %v; want %q over h2", got, proto, err, want)
			}
		}
		shows("first")
		keyPairOf(t, dir, "second")
		shows("first") // looked at most once a second
		<-time.After(recheck)
		shows("second")
		put(t, keyFile, []byte("half writ"))
		<-time.After(recheck)
		shows("second")
		keyPairOf(t, dir, "third")
		<-time.After(recheck)
		shows("third")
	})
}

func TestServerTLSAsksForClientCertificates(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	certFile, keyFile := keyPairOf(t, dir, "ca")
	strangerCert, strangerKey := keyPairOf(t, other, "stranger")
	server, err := ServerTLS(certFile, keyFile, certFile)
	if err != nil {
		t.Fatal(err)
	}
	client := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12} // 1.2: refusal shows in the handshake
	if _, _, err := served(server, client); err != nil {
		t.Errorf("without a certificate, which may have a token: %v", err)
	}
	for _, tt := range []struct {
		cert, key string
		good      bool
	}{{certFile, keyFile, true}, {strangerCert, strangerKey, false}} {
		pair, err := tls.LoadX509KeyPair(tt.cert, tt.key)
		if err != nil {
			t.Fatal(err)
		}
		client.Certificates = nil
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		if _, _, err := served(server, client); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.cert, err)
		}
	}
}

func TestTokenReadsAChangedFile(t *testing.T) {
	path := write(t, "token", "first\n")
	synctest.Test(t, func(t *testing.T) {
		token, err := NewToken(path)
		if err != nil {
			t.Fatal(err)
		}
		expect := func(word string, want bool) {
			t.Helper()
			if got := token.Match(word); got != want {
				t.Errorf("%q: got %v", word, got)
			}
		}
		expect("first", true)
		expect("", false)
		expect("first\n", false)
		for text, want := range map[string]string{"second": "second", "  third \n": "third"} {
			put(t, path, []byte(text))
			<-time.After(recheck)
			expect(want, true)
			expect("first", false)
			if err := token.Problem(); err != nil {
				t.Error(err)
			}
			put(t, path, []byte(" \n")) // an emptied file must not let the empty token in
			<-time.After(recheck)
			expect(want, true)
			expect("", false)
			if token.Problem() == nil {
				t.Error("nobody says that an older token still is in force")
			}
		}
	})
}

func TestNewTokenRefuses(t *testing.T) {
	for name, text := range map[string]string{"empty": " \n", "two words": "a b", "binary": "a\x00", "long": strings.Repeat("a", maxToken+1)} {
		if _, err := NewToken(write(t, "token", text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := NewToken(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("missing: taken")
	}
}

func TestFileProblems(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	keyPairOf(t, dir, "a")
	_, otherKey := keyPairOf(t, other, "b")
	put(t, filepath.Join(dir, "other.key"), mustRead(t, otherKey))
	put(t, filepath.Join(dir, "empty"), nil)
	put(t, filepath.Join(dir, "token"), []byte("secret"))
	tests := []struct {
		name, text string
		want       []string
	}{
		{"good", "listen: {tls: {cert_file: tls.crt, key_file: tls.key}}\nadmin: {address: \":1\", token_file: token, tls: {cert_file: tls.crt, key_file: tls.key, client_ca_file: tls.crt}}\n", nil},
		{"client certificates alone open the admin listener", "admin: {address: \":1\", tls: {cert_file: tls.crt, key_file: tls.key, client_ca_file: tls.crt}}\n", nil},
		{"missing", "listen: {tls: {cert_file: no.crt, key_file: no.key}}\nadmin: {token_file: no}\n", []string{
			`7: listen.tls.cert_file: "DIR/no.crt" cannot be read: no such file or directory; write the name of a readable file`,
			`7: listen.tls.key_file: "DIR/no.key" cannot be read: no such file or directory; write the name of a readable file`,
			`8: admin.token_file: "DIR/no" cannot be read: no such file or directory; write the name of a readable file`,
		}},
		{"another's key", "listen: {tls: {cert_file: tls.crt, key_file: other.key}}\n", []string{
			`7: listen.tls.key_file: "DIR/other.key" is not the key of "DIR/tls.crt"; write the certificate's own unencrypted private key in PEM`,
		}},
		{"swapped", "listen: {tls: {cert_file: tls.key, key_file: tls.crt}}\n", []string{
			`7: listen.tls.cert_file: "DIR/tls.key" holds no PEM certificate; write a PEM certificate chain, the server's certificate first`,
		}},
		{"empty", "data_dir: token\nadmin: {token_file: empty, tls: {cert_file: tls.crt, key_file: tls.key, client_ca_file: empty}}\n", []string{
			`7: data_dir: "DIR/token" is not a directory; write the name of a directory; it need not exist yet`,
			`8: admin.tls.client_ca_file: "DIR/empty" holds no PEM certificate; write a file with the authorities' certificates in PEM`,
			`8: admin.token_file: "DIR/empty" holds no token; write a file with one line of 1 to 4096 printable characters without spaces`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, "quorate.yaml")
			put(t, path, []byte(head+tail+tt.text))
			_, err := Load(path, nil)
			var got string
			if err != nil {
				got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), path+":", ""), dir, "DIR")
			}
			if want := strings.Join(tt.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
