package peer

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestReadFrame(t *testing.T) {
	big := make([]byte, MaxReport)
	for _, tc := range []struct {
		name  string
		in    []byte
		limit int
		kind  byte
		n     int
		err   error
	}{
		{"nothing", nil, 10, 0, 0, io.EOF},
		{"half a head", []byte{1, 0, 0}, 10, 0, 0, io.ErrUnexpectedEOF},
		{"head only", []byte{1, 0, 0, 0, 1}, 10, 0, 0, io.ErrUnexpectedEOF},
		{"half a payload", []byte{1, 0, 0, 0, 3, 9}, 10, 0, 0, io.ErrUnexpectedEOF},
		{"empty payload", []byte{7, 0, 0, 0, 0}, 10, 7, 0, nil},
		{"at the limit", appendFrame(nil, 4, big), MaxReport, 4, MaxReport, nil},
		{"beyond the limit", appendFrame(nil, 4, big), MaxReport - 1, 0, 0, ErrFrame},
		{"4 GiB", []byte{4, 255, 255, 255, 255}, MaxReport, 0, 0, ErrFrame},
		{"sign bit", []byte{4, 128, 0, 0, 0}, MaxReport, 0, 0, ErrFrame},
		{"text", []byte("GET / HTTP/1.1\r\n\r\n"), MaxReport, 0, 0, ErrFrame},
	} {
		for _, buf := range [][]byte{nil, make([]byte, 0, 8), make([]byte, MaxReport)} {
			kind, payload, err := readFrame(bytes.NewReader(tc.in), buf, tc.limit)
			if !errors.Is(err, tc.err) || err == nil && (kind != tc.kind || len(payload) != tc.n) {
				t.Errorf("%s: %d, %d bytes, %v", tc.name, kind, len(payload), err)
			}
		}
	}
}

func TestBeats(t *testing.T) {
	for _, b := range []beat{{}, {1, 2, never}, {1<<64 - 1, 1<<63 - 1, -1 << 63}} {
		kind, payload, err := readFrame(bytes.NewReader(b.frame(framePong)), nil, beatSize)
		if err != nil || kind != framePong {
			t.Fatal(kind, err)
		}
		for _, p := range [][]byte{payload, append(bytes.Clone(payload), "of a newer gateway"...)} {
			if got, err := parseBeat(p); err != nil || got != b {
				t.Errorf("%+v became %+v, %v", b, got, err)
			}
		}
		for n := range beatSize {
			if _, err := parseBeat(payload[:n]); !errors.Is(err, ErrFrame) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	}
}

func TestGoodbyes(t *testing.T) {
	for _, tc := range []struct {
		payload, text string
		is            error
	}{
		{`{"reason":"self"}`, "the other side ended the link: self", ErrSelf},
		{`{"reason":"twin","text":"x"}`, "the other side ended the link: x", ErrTwin},
		{`{"reason":"version"}`, "version", ErrVersion},
		{`{"reason":"new\nword\u001b[2J","more":1}`, "new?word?[2J", nil},
		{`{}`, "ended the link", nil},
		{`{"reason":"r","text":"` + strings.Repeat("é", 500) + `"}`, strings.Repeat("?", maxText), nil},
		{`{`, "goodbye", ErrFrame}, {``, "goodbye", ErrFrame}, {`[]`, "goodbye", ErrFrame},
	} {
		err := parseGoodbye([]byte(tc.payload))
		if err == nil || !strings.Contains(err.Error(), tc.text) || len(err.Error()) > maxText+100 || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%s: %v", tc.payload, err)
		}
	}
}

func TestIdentityOf(t *testing.T) {
	long := strings.Repeat("x", maxName)
	for _, tc := range []struct {
		uris []string
		want string // "" for none
	}{
		{[]string{"quorate://gateway/eu/gw"}, "eu/gw"},
		{[]string{"spiffe://x/y", "quorate://gateway/eu/gw"}, "eu/gw"},
		{[]string{"quorate://gateway/" + long + "/" + long}, long + "/" + long},
		{[]string{"quorate://gateway/" + long + "x/gw"}, ""},
		{nil, ""}, {[]string{"spiffe://gateway/eu/gw"}, ""},
		{[]string{"quorate://gateway/eu/gw", "quorate://gateway/eu/other"}, ""},
		{[]string{"quorate://node/eu/gw"}, ""}, {[]string{"quorate:gateway/eu/gw"}, ""},
		{[]string{"quorate://gateway/eu"}, ""}, {[]string{"quorate://gateway/eu/"}, ""}, {[]string{"quorate://gateway//gw"}, ""},
		{[]string{"quorate://gateway/eu/gw/more"}, ""}, {[]string{"quorate://gateway/eu/gw?q"}, ""}, {[]string{"quorate://gateway/eu/gw#f"}, ""},
		{[]string{"quorate://u@gateway/eu/gw"}, ""}, {[]string{"quorate://gateway/eu%20x/gw"}, ""}, {[]string{"quorate://gateway/eu%0a/gw"}, ""},
		{[]string{"quorate://gateway/eu%2Cx/gw"}, ""}, {[]string{"quorate://gateway/e%C3%BC/gw"}, ""}, {[]string{"quorate://gateway/eu%2Fgw"}, "eu/gw"},
	} {
		c := &x509.Certificate{}
		for _, s := range tc.uris {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
		id, err := IdentityOf(c)
		if (err == nil) != (tc.want != "") || err == nil && id.String() != tc.want || err != nil && !errors.Is(err, ErrIdentity) {
			t.Errorf("%v: %v, %v", tc.uris, id, err)
		}
	}
}

const ms = time.Millisecond

func TestHealthRTT(t *testing.T) {
	for _, tc := range []struct {
		name string
		rtts []time.Duration // of pings 10 ms apart; 0: no pong
		want time.Duration
	}{
		{"none sent", nil, 7 * ms}, {"none answered", []time.Duration{0, 0}, 7 * ms},
		{"one", []time.Duration{3 * ms}, 3 * ms},
		{"median", []time.Duration{9 * ms, ms, 5 * ms}, 5 * ms},
		{"one lost", []time.Duration{9 * ms, 0, ms, 0, 5 * ms}, 5 * ms},
		{"only the last fifteen", append(rtts(20, 9*ms), rtts(15, ms)...), ms},
		{"the ring goes round", append(rtts(3*recent, 9*ms), rtts(9, 2*ms)...), 2 * ms},
	} {
		h := newHealth(10*ms, 100*ms, 7*ms)
		for i, rtt := range tc.rtts {
			at := time.Duration(i) * 10 * ms
			if b := h.ping(at); rtt > 0 {
				if got, ok := h.ponged(b, at+rtt); !ok || got != rtt {
					t.Fatalf("%s: %v %v", tc.name, got, ok)
				}
			}
		}
		if got := h.rtt(); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
		if got, want := h.bound(), max(100*ms, 4*(10*ms+tc.want)); got != want {
			t.Errorf("%s: bound %v, want %v", tc.name, got, want)
		}
	}
}

func rtts(n int, rtt time.Duration) (all []time.Duration) {
	for range n {
		all = append(all, rtt)
	}
	return all
}
