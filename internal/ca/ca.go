// Package ca is the fleet's small certificate authority: it makes the certificates by which gateways know
// each other. It must not know configuration files, listeners or how a certificate is used.
package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Names of the authority's files.
const (
	CertFile = "ca.crt"
	KeyFile  = "ca.key"
)

// Bounds of lifetimes.
const (
	// DefaultLife is how long a gateway's certificate lives unless said otherwise: short, since there is no revocation.
	DefaultLife = 7 * 24 * time.Hour
	// MaxLife is the longest life of a gateway's certificate.
	MaxLife = 90 * 24 * time.Hour
	// authorityLife is that of the authority's own.
	authorityLife = 10 * 365 * 24 * time.Hour
	// skew is how far clocks of the fleet may differ.
	skew = 5 * time.Minute
)

// soon bounds how long before its end a certificate is warned of.
const soon = 7 * 24 * time.Hour

// Ending reports that a certificate should have been renewed: the last third of its life has begun, and no more than
// soon is left. Those of quorate ca issue live for a week and are renewed before their last two days.
func Ending(from, until, now time.Time) bool {
	left := until.Sub(now)
	return left < soon && left < until.Sub(from)/3
}

// Errors that callers branch on.
var (
	ErrExists = errors.New("exists already")
	ErrName   = errors.New("region and name are 1 to 64 letters, digits, dots, hyphens and underscores")
	ErrLife   = fmt.Errorf("a certificate lives from 1 minute to %s", MaxLife)
)

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Options says what is not usual. The zero value takes the defaults.
type Options struct {
	Life time.Duration    // of the certificate; default DefaultLife
	Out  string           // directory of what is issued; default the authority's own
	Now  func() time.Time // default time.Now
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// Files names what Issue has written.
type Files struct {
	Cert, Key string
	URI       string // the identity in the certificate
	Expires   time.Time
}

// Init makes a new authority in dir, which is created if need be. It never replaces one: ErrExists.
func Init(dir string, o Options) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("ca: init: %w", err)
	}
	for _, f := range []string{CertFile, KeyFile} {
		if _, err := os.Lstat(filepath.Join(dir, f)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("ca: init: %s %w", filepath.Join(dir, f), ErrExists)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("ca: init: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return fmt.Errorf("ca: init: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "quorate fleet " + serial.Text(36)[:8]},
		NotBefore: o.now().Add(-skew), NotAfter: o.now().Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return fmt.Errorf("ca: init: %w", err)
	}
	return write(dir, CertFile, KeyFile, [][]byte{der}, key)
}

// Issue makes a gateway's certificate and key, REGION-NAME.crt and .key, in place of older ones. The key
// is written first, so that a gateway that reads the files in between keeps its old pair: the two do not fit.
func Issue(dir, region, gateway string, o Options) (Files, error) {
	fail := func(err error) (Files, error) { return Files{}, fmt.Errorf("ca: issue: %w", err) }
	if !name.MatchString(region) || !name.MatchString(gateway) {
		return fail(fmt.Errorf("%q, %q: %w", region, gateway, ErrName))
	}
	if o.Life == 0 {
		o.Life = DefaultLife
	}
	if o.Life < time.Minute || o.Life > MaxLife {
		return fail(fmt.Errorf("%s: %w", o.Life, ErrLife))
	}
	if o.Out == "" {
		o.Out = dir
	}
	authority, signer, err := load(dir)
	if err != nil {
		return fail(err)
	}
	uri := &url.URL{Scheme: "quorate", Host: "gateway", Path: "/" + region + "/" + gateway}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	serial, err := newSerial()
	if err != nil {
		return fail(err)
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: gateway, OrganizationalUnit: []string{region}}, URIs: []*url.URL{uri},
		NotBefore: o.now().Add(-skew), NotAfter: o.now().Add(o.Life), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if t.NotAfter.After(authority.NotAfter) {
		t.NotAfter = authority.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, t, authority, key.Public(), signer)
	if err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(o.Out, 0o700); err != nil {
		return fail(err)
	}
	base := region + "-" + gateway
	if err := write(o.Out, base+".crt", base+".key", [][]byte{der}, key); err != nil {
		return fail(err)
	}
	return Files{Cert: filepath.Join(o.Out, base+".crt"), Key: filepath.Join(o.Out, base+".key"), URI: uri.String(), Expires: t.NotAfter}, nil
}

// newSerial returns 128 random bits, never 0.
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return n.SetBit(n, 126, 1), nil
}

// load reads the authority.
func load(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	cert, err := block(filepath.Join(dir, CertFile), "CERTIFICATE")
	if err != nil {
		return nil, nil, err
	}
	authority, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", CertFile, err)
	}
	raw, err := block(filepath.Join(dir, KeyFile), "PRIVATE KEY")
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is not a private key", KeyFile) // the parser's text may show a part of it
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(authority.PublicKey) {
		return nil, nil, fmt.Errorf("%s is not the key of %s", KeyFile, CertFile)
	}
	return authority, key, nil
}

func block(file, kind string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b, _ := pem.Decode(data)
	if b == nil || b.Type != kind {
		return nil, fmt.Errorf("%s holds no %s", file, kind)
	}
	return b.Bytes, nil
}

// write puts both files in place, each whole or not at all.
func write(dir, certName, keyName string, chain [][]byte, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, keyName), 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return err
	}
	var certs []byte
	for _, c := range chain {
		certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return replace(filepath.Join(dir, certName), 0o644, certs)
}

// replace writes a file under another name and moves it into place.
func replace(file string, mode os.FileMode, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".quorate-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone when it was moved
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
