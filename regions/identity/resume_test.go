package identity

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// Sessions are not resumed. Should somebody give a configuration a cache, a ticket is no way around the proof.

func resumable(v uint16, key byte, cert tls.Certificate) *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: v, MaxVersion: v}
	c.SetSessionTicketKeys([][32]byte{{key}})
	return c
}

func TestNothingIsResumed(t *testing.T) {
	trusted := identitytest.NewAuthority(t, "trusted")
	cert := trusted.Issue(t, identitytest.Leaf{DNS: []string{search}})
	for _, v := range versions {
		s := serve(t, resumable(v, 1, cert))
		c := config(t, regions.Identity{TLSName: search}, trusted)
		for range 3 {
			wantProof(t, s, s.connect(t, c), "")
		}
		if n := s.resumed.Load(); n != 0 {
			t.Errorf("%s: %d sessions were resumed", tls.VersionName(v), n)
		}
	}
}

func TestResumedSessionIsProvenToo(t *testing.T) {
	trusted := identitytest.NewAuthority(t, "trusted")
	right, wrong := trusted.Issue(t, identitytest.Leaf{DNS: []string{search}}), trusted.Issue(t, identitytest.Leaf{DNS: []string{"evil.example.com"}})
	for _, v := range versions {
		tests := []struct {
			name    string
			then    *tls.Config // the server after the first connection
			now     regions.Identity
			want    string
			resumes int64
		}{
			{"same server", resumable(v, 1, right), regions.Identity{TLSName: search}, "", 1},
			{"impostor without the ticket keys", resumable(v, 2, wrong), regions.Identity{TLSName: search}, "want a certificate for", 0},
			// The session's secret is a proof that the server is the one that had the right certificate.
			{"server with another certificate", resumable(v, 1, wrong), regions.Identity{TLSName: search}, "", 1},
			{"another key is pinned meanwhile", resumable(v, 1, right), regions.Identity{TLSName: search, SPKI: identitytest.Pin(wrong)}, "want spki_sha256", 0},
		}
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s/%s", test.name, tls.VersionName(v)), func(t *testing.T) {
				cache := tls.NewLRUClientSessionCache(4)
				first := config(t, regions.Identity{TLSName: search}, trusted)
				first.ClientSessionCache = cache
				if err := serve(t, resumable(v, 1, right)).connect(t, first); err != nil {
					t.Fatal(err)
				}
				s := serve(t, test.then)
				again := config(t, test.now, trusted)
				again.ClientSessionCache = cache
				wantProof(t, s, s.connect(t, again), test.want)
				if n := s.resumed.Load(); n != test.resumes {
					t.Errorf("%d sessions resumed, want %d", n, test.resumes)
				}
			})
		}
	}
}
