package peer

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// recheck is how often the files are looked at, when credentials are used at all.
	recheck = time.Second
	// maxPEM bounds each file.
	maxPEM = 1 << 20
)

// Credentials are a gateway's certificate and key and the authorities of its fleet. The three files are
// read again when they change, so that short-lived certificates can be renewed while the gateway runs;
// while what they hold is bad, the last good ones serve. All methods may be called concurrently.
type Credentials struct {
	files   [3]string // authorities, certificate, key
	current atomic.Pointer[material]
	next    atomic.Int64 // Unix nanoseconds of the next look
	mu      sync.Mutex   // held while looking
	problem atomic.Pointer[error]
}

// material is one good state of the files.
type material struct {
	generation uint64
	seen       [3][]byte
	cert       tls.Certificate
	leaf       *x509.Certificate
	authority  *x509.CertPool
	identity   Identity
}

// LoadCredentials reads PEM files: the fleet's authorities (one or, while they change over, several), the
// certificate (its own first, then intermediates) and its key. It fails when the certificate does not
// belong to the key, was not signed by the authorities for use as client and as server, is expired, or
// names no gateway.
func LoadCredentials(caFile, certFile, keyFile string) (*Credentials, error) {
	c := &Credentials{files: [3]string{caFile, certFile, keyFile}}
	data, err := c.read()
	if err != nil {
		return nil, fmt.Errorf("peer: credentials: %w", err)
	}
	m, err := parse(data, time.Now())
	if err != nil {
		return nil, fmt.Errorf("peer: credentials: %w", err)
	}
	c.current.Store(m)
	c.next.Store(time.Now().Add(recheck).UnixNano())
	return c, nil
}

// Identity returns who these credentials make their holder. It never changes: files that name somebody
// else are refused.
func (c *Credentials) Identity() Identity { return c.get().identity }

// Expires returns when the certificate in use ends.
func (c *Credentials) Expires() time.Time { return c.get().leaf.NotAfter }

// Problem returns why the files as they are now are not used, nil while they are.
func (c *Credentials) Problem() error {
	c.get()
	if p := c.problem.Load(); p != nil {
		return *p
	}
	return nil
}

// get returns the material in use. At most one caller at a time looks at the files; nobody waits for it.
func (c *Credentials) get() *material {
	if time.Now().UnixNano() >= c.next.Load() && c.mu.TryLock() {
		c.look(time.Now())
		c.mu.Unlock()
	}
	return c.current.Load()
}

// look takes over what is in the files if that is new and good. What is bad is tried again: a certificate
// may be written before its key, or begin in a minute.
func (c *Credentials) look(now time.Time) {
	c.next.Store(now.Add(recheck).UnixNano())
	data, err := c.read()
	old := c.current.Load()
	if err == nil && same(data, old.seen) {
		c.problem.Store(nil)
		return
	}
	var m *material
	if err == nil {
		m, err = parse(data, now)
	}
	if err == nil && m.identity != old.identity {
		err = fmt.Errorf("the certificate is of %s, this gateway is %s", m.identity, old.identity)
	}
	if err != nil {
		err = fmt.Errorf("peer: credentials: %w", err)
		c.problem.Store(&err)
		return
	}
	m.generation = old.generation + 1
	c.current.Store(m)
	c.problem.Store(nil)
}

func same(a, b [3][]byte) bool {
	return bytes.Equal(a[0], b[0]) && bytes.Equal(a[1], b[1]) && bytes.Equal(a[2], b[2])
}

func (c *Credentials) read() (data [3][]byte, err error) {
	for i, name := range c.files {
		if data[i], err = readBounded(name); err != nil {
			return data, err
		}
	}
	return data, nil
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(data) > maxPEM {
		err = fmt.Errorf("%s is larger than 1 MiB", name)
	}
	return data, err
}

var errNoAuthority = errors.New("the authorities' file holds no PEM certificate")

// parse checks what the files hold as another gateway will.
func parse(data [3][]byte, now time.Time) (*material, error) {
	m := &material{seen: data, authority: x509.NewCertPool()}
	if !m.authority.AppendCertsFromPEM(data[0]) {
		return nil, errNoAuthority
	}
	var err error
	if m.cert, err = tls.X509KeyPair(data[1], data[2]); err != nil {
		return nil, err
	}
	chain, err := x509Chain(m.cert.Certificate)
	if err != nil {
		return nil, err
	}
	m.leaf, m.cert.Leaf = chain[0], chain[0]
	for _, use := range [...]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if err := m.verify(chain, use, now); err != nil {
			return nil, err
		}
	}
	m.identity, err = IdentityOf(m.leaf)
	return m, err
}

func x509Chain(raw [][]byte) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, len(raw))
	for i, der := range raw {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain[i] = c
	}
	return chain, nil
}

// verify checks a chain, the holder's certificate first, against the fleet's authorities.
func (m *material) verify(chain []*x509.Certificate, use x509.ExtKeyUsage, now time.Time) error {
	options := x509.VerifyOptions{Roots: m.authority, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{use}}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(options)
	return err
}
