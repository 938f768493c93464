package ca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func authority(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := Init(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func roots(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, CertFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatal("no certificate")
	}
	return pool
}

func pair(t *testing.T, f Files) tls.Certificate {
	t.Helper()
	c, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// handshake connects a client and a server that each demand a certificate of the fleet.
func handshake(t *testing.T, pool *x509.CertPool, server, client tls.Certificate) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.(*tls.Conn).Handshake()
			_ = c.Close()
		}
		served <- err
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := tls.Client(raw, &tls.Config{Certificates: []tls.Certificate{client}, MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, //nolint:gosec // checked below, without host names
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool})
			return err
		}})
	err = c.Handshake()
	if err == nil {
		_, err = c.Read(make([]byte, 1)) // the server's opinion of a client's certificate comes after the handshake
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return errors.Join(err, <-served)
}

func TestIssuedCertificatesServeBothWays(t *testing.T) {
	dir := authority(t)
	a, err := Issue(dir, "us-east", "gw-1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Issue(dir, "eu-west", "gw-2", Options{Out: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if a.URI != "quorate://gateway/us-east/gw-1" || time.Until(a.Expires) > DefaultLife {
		t.Errorf("%+v", a)
	}
	if err := handshake(t, roots(t, dir), pair(t, a), pair(t, b)); err != nil {
		t.Error(err)
	}
	other := authority(t)
	stranger, err := Issue(other, "eu-west", "gw-2", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, roots(t, dir), pair(t, a), pair(t, stranger)); err == nil {
		t.Error("a certificate of another fleet was let in")
	}
	late, err := Issue(dir, "eu-west", "late", Options{Now: func() time.Time { return time.Now().Add(-8 * 24 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, roots(t, dir), pair(t, a), pair(t, late)); err == nil {
		t.Error("an expired certificate was let in")
	}
}

func TestKeysAreSecret(t *testing.T) {
	dir := authority(t)
	f, err := Issue(dir, "r", "g", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(dir, KeyFile), f.Key} {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".quorate-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// No authority is ever replaced, not even a half one: its certificates would all be void.
func TestInitNeverReplaces(t *testing.T) {
	dir := authority(t)
	before, err := os.ReadFile(filepath.Join(dir, CertFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := Init(dir, Options{}); !errors.Is(err, ErrExists) {
		t.Errorf("again: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, KeyFile)); err != nil {
		t.Fatal(err)
	}
	if err := Init(dir, Options{}); !errors.Is(err, ErrExists) {
		t.Errorf("without the key: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, CertFile)); string(after) != string(before) {
		t.Error("the certificate was replaced")
	}
}

func TestIssueRefuses(t *testing.T) {
	dir := authority(t)
	for _, tc := range []struct {
		region, name string
		life         time.Duration
		want         error
	}{
		{"", "g", 0, ErrName}, {"r", "", 0, ErrName}, {"../r", "g", 0, ErrName}, {"r", "a/b", 0, ErrName}, {"r", "a\nb", 0, ErrName},
		{"r", strings.Repeat("g", 65), 0, ErrName}, {"r", "-g", 0, ErrName}, {"r", "g", time.Second, ErrLife}, {"r", "g", MaxLife + 1, ErrLife},
	} {
		if _, err := Issue(dir, tc.region, tc.name, Options{Life: tc.life}); !errors.Is(err, tc.want) {
			t.Errorf("%q %q %s: %v", tc.region, tc.name, tc.life, err)
		}
	}
	if _, err := Issue(t.TempDir(), "r", "g", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without an authority: %v", err)
	}
	foreign, err := os.ReadFile(filepath.Join(authority(t), KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, KeyFile), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Issue(dir, "r", "g", Options{}); err == nil || !strings.Contains(err.Error(), "is not the key of") {
		t.Errorf("with another authority's key: %v", err)
	}
}

func TestEndingCertificates(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		life, left time.Duration
		want       bool
	}{
		{7 * day, 7 * day, false}, {7 * day, 3 * day, false}, {7 * day, 2 * day, true}, {90 * day, 20 * day, false}, {90 * day, 6 * day, true},
		{time.Hour, 30 * time.Minute, false}, {time.Hour, 10 * time.Minute, true}, {day, -time.Minute, true},
	} {
		now := time.Now()
		if got := Ending(now.Add(tt.left-tt.life), now.Add(tt.left), now); got != tt.want {
			t.Errorf("%v of %v left: %v", tt.left, tt.life, got)
		}
	}
}
