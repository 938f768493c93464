package proxy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestRequest(t *testing.T) {
	if n := len(result()); n != resultBytes {
		t.Errorf("the result has %d bytes, want %d", n, resultBytes)
	}
	for _, k := range Kinds {
		raw, idAt := request("127.0.0.1:1", k)
		putID(raw[idAt:], 1234567890)
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			ID     int
			Params struct{ Name string }
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil || m.ID != 1234567890 || m.Params.Name != r.Header.Get("Mcp-Name") {
			t.Errorf("%s: body %s, error %v", k, body, err)
		}
	}
}

func host(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return strings.TrimPrefix(srv.URL, "http://")
}

// TestLoad: both kinds of answers are verified, from the upstream and through the baseline.
func TestLoad(t *testing.T) {
	upstream := host(t, NewUpstream())
	for _, k := range Kinds {
		u, err := url.Parse("http://" + upstream)
		if err != nil {
			t.Fatal(err)
		}
		reverse := NewReverseProxy(u, 4)
		for name, address := range map[string]string{"direct": upstream, "reverseproxy": host(t, reverse)} {
			f, err := Load{Address: address, Kind: k, Connections: 4, For: 100 * time.Millisecond}.Run(t.Context())
			if err != nil {
				t.Fatalf("%s, %s: %v", k, name, err)
			}
			if f.Requests < 4 || f.P50 <= 0 || f.P99 < f.P50 || f.Elapsed <= 0 {
				t.Errorf("%s, %s: %+v", k, name, f)
			}
		}
		reverse.Transport.(*http.Transport).CloseIdleConnections()
	}
}

// TestLoadRefusesWrongAnswers: an answer that is not the upstream's, byte by byte, ends the load.
func TestLoadRefusesWrongAnswers(t *testing.T) {
	good := NewUpstream()
	wrap := func(change func(*httptest.ResponseRecorder)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			good.ServeHTTP(rec, r)
			change(rec)
			w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			w.WriteHeader(rec.Code)
			_, _ = rec.Body.WriteTo(w)
		})
	}
	replace := func(old, with string) func(*httptest.ResponseRecorder) {
		return func(r *httptest.ResponseRecorder) {
			r.Body = bytes.NewBufferString(strings.Replace(r.Body.String(), old, with, 1))
		}
	}
	tests := []struct {
		name   string
		change func(*httptest.ResponseRecorder)
		wrong  bool
	}{
		{"right", func(*httptest.ResponseRecorder) {}, false},
		{"another id", replace(`"id":1`, `"id":2`), true},
		{"another result", replace("xx", "xy"), true},
		{"a shorter result", replace("xx", "x"), true},
		{"an error's status", func(r *httptest.ResponseRecorder) { r.Code = http.StatusBadGateway }, true},
		{"another type", func(r *httptest.ResponseRecorder) { r.Header().Set("Content-Type", "text/plain") }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load{Address: host(t, wrap(tt.change)), Kind: JSON, Connections: 2, For: 50 * time.Millisecond}.Run(t.Context())
			if errors.Is(err, errWrong) != tt.wrong || (err != nil) != tt.wrong {
				t.Errorf("load: %v", err)
			}
		})
	}
}

// TestUpstreamIsMCP: the prepared answers are what a real client of either era understands.
func TestUpstreamIsMCP(t *testing.T) {
	address := host(t, NewUpstream())
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(version, func(t *testing.T) {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
			s, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
				Endpoint: "http://" + address + Path, HTTPClient: &http.Client{Transport: transport},
			}, &mcp.ClientSessionOptions{ProtocolVersion: version})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if v := s.InitializeResult().ProtocolVersion; v != version {
				t.Errorf("version %s", v)
			}
			tools, err := s.ListTools(t.Context(), nil)
			if err != nil || len(tools.Tools) != len(Kinds) || !tools.Tools[0].Annotations.ReadOnlyHint {
				t.Errorf("tools: %v, error %v", tools, err)
			}
		})
	}
}

func TestAnnounce(t *testing.T) {
	var b bytes.Buffer
	ln := httptest.NewServer(nil)
	defer ln.Close()
	if err := Announce(&b, ln.Listener.Addr()); err != nil {
		t.Fatal(err)
	}
	var line struct{ Msg, Address string }
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line.Msg != ServingMsg || line.Address != fmt.Sprint(ln.Listener.Addr()) {
		t.Errorf("line %q: %v", b.String(), err)
	}
}
