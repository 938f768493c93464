package identity

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// BenchmarkHandshake is a connection with its proof, both ends; "net/http" is the standard library's own.
func BenchmarkHandshake(b *testing.B) {
	trusted := identitytest.NewAuthority(b, "trusted")
	cert := trusted.Issue(b, identitytest.Leaf{DNS: []string{"a." + search}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, URIs: []string{id}})
	configs := map[string]*tls.Config{"net/http": {RootCAs: trusted.Pool(), ServerName: "127.0.0.1"}}
	for name, id := range map[string]regions.Identity{
		"none": {}, "tls_name": {TLSName: "*." + search}, "spiffe_id": {SPIFFE: id}, "spki_sha256": {SPKI: identitytest.Pin(cert)},
	} {
		c, err := TLS(id, "127.0.0.1", trusted.Pool())
		if err != nil {
			b.Fatal(err)
		}
		configs[name] = c
	}
	l := identitytest.Listen(b, "", &tls.Config{Certificates: []tls.Certificate{cert}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			_ = c.Close()
		}
	}()
	b.Cleanup(func() { _ = l.Close(); <-done })
	for _, name := range []string{"net/http", "none", "tls_name", "spiffe_id", "spki_sha256"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				raw, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", l.Address())
				if err != nil {
					b.Fatal(err)
				}
				c, err := Handshake(context.Background(), raw, configs[name])
				if err != nil {
					b.Fatal(err)
				}
				_ = c.Close()
			}
		})
	}
}
