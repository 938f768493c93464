package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/admin"
)

type secret string

func (s secret) Match(word string) bool { return word == string(s) }

// gateway runs the admin API as a gateway does, and notes its orders.
func gateway(t *testing.T) (url string, orders *[]admin.Order) {
	t.Helper()
	orders = new([]admin.Order)
	h, err := admin.New(admin.Config{
		Status: func() admin.Status {
			return admin.Status{Services: []admin.Service{{Name: "tools", Nodes: []admin.Node{{ID: "a", Region: "us-east", State: "healthy", Groups: []string{"tool_servers"}}}}}}
		},
		Ready: func() []string { return nil },
		Regions: func() []admin.Region {
			return []admin.Region{{Name: "us-east", Local: true, State: "on", Class: "fast", Share: 1},
				{Name: "eu-west", State: "off", Cause: "3 checks failed here, confirmed by gw-3", Since: admin.Time{Time: time.Unix(0, 0)}, RTTMS: 80.25, Measured: true}}
		},
		Order: func(o admin.Order) error {
			if o.Region != "eu-west" {
				return admin.ErrUnknownRegion
			}
			*orders = append(*orders, o)
			return nil
		},
		Metrics: http.NotFoundHandler(), Token: secret("word"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL, orders
}

// command runs quorate with args and returns exit code and output.
func command(args ...string) (code int, out string) {
	root := newRootCommand()
	var b bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&b)
	root.SetErr(&b)
	code, text := outcome(root.Execute())
	return code, b.String() + text
}

func TestAdminCommands(t *testing.T) {
	url, orders := gateway(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := []string{"--address", url, "--token-file", token}
	for _, tc := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"admin", "regions"}, 0, []string{"us-east (here)", "80.2 ms", "confirmed by gw-3", "1970-01-01T00:00:00Z"}},
		{[]string{"admin", "regions", "--json"}, 0, []string{`"cause":"3 checks failed here`}},
		{[]string{"admin", "nodes"}, 0, []string{"tool_servers", "healthy"}},
		{[]string{"admin", "drain", "eu-west"}, 0, []string{"eu-west: off"}},
		{[]string{"admin", "evacuate", "eu-west", "--over", "5m"}, 0, []string{"eu-west: off"}},
		{[]string{"admin", "off", "eu-west"}, 0, []string{"eu-west"}},
		{[]string{"admin", "undrain", "eu-west"}, 0, []string{"eu-west"}},
		{[]string{"admin", "drain", "moon"}, 1, []string{"no such region"}},
		{[]string{"admin", "evacuate", "eu-west", "--over", "30h"}, 1, []string{"0s to 24h"}},
		{[]string{"admin", "evacuate", "eu-west"}, 2, []string{`"over" not set`}},
		{[]string{"admin", "undrain", "eu-west", "--over", "5m"}, 2, []string{"unknown flag"}},
		{[]string{"admin", "drain"}, 2, []string{"accepts 1 arg"}},
	} {
		code, out := command(append(tc.args, at...)...)
		if code != tc.code {
			t.Errorf("%v: exit code %d: %s", tc.args, code, out)
		}
		for _, want := range tc.says {
			if !strings.Contains(out, want) {
				t.Errorf("%v does not say %q:\n%s", tc.args, want, out)
			}
		}
	}
	var got []string
	for _, o := range *orders {
		got = append(got, o.State+" "+o.Over.String())
	}
	if want := "draining 0s, draining 5m0s, off 0s, on 0s"; strings.Join(got, ", ") != want {
		t.Errorf("orders %v, want %s", got, want)
	}
	if code, out := command("admin", "regions", "--address", url); code != 1 || !strings.Contains(out, "credentials are required") {
		t.Errorf("without the token: %d %s", code, out)
	}
}

func TestAdminWithoutAGateway(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }))
	defer s.Close()
	if code, out := command("admin", "regions", "--address", s.URL, "--timeout", "50ms"); code != exitNotNow || !strings.Contains(out, "no gateway answers") {
		t.Errorf("a gateway that hangs: %d %s", code, out)
	}
	if code, out := command("admin", "drain", "x", "--address", s.URL, "--timeout", "50ms"); code != exitNotNow || !strings.Contains(out, "may have been carried out") {
		t.Errorf("an order to a gateway that hangs: %d %s", code, out)
	}
	s.CloseClientConnections()
	s.Close()
	if code, out := command("admin", "drain", "x", "--address", s.URL); code != exitNotNow || strings.Contains(out, "may have been carried out") {
		t.Errorf("no gateway: %d %s", code, out)
	}
}

// The wrong port, or HTTP where there is HTTPS, is told from a gateway's refusal.
func TestAdminAtAnotherListener(t *testing.T) {
	agents := httptest.NewServer(http.NotFoundHandler())
	defer agents.Close()
	if code, out := command("admin", "status", "--address", agents.URL); code != exitFailure || !strings.Contains(out, "404 Not Found: is this the address of an admin listener?") {
		t.Errorf("the agents' listener: %d %s", code, out)
	}
	mcp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no service at this path"}}`)
	}))
	defer mcp.Close()
	if _, out := command("admin", "status", "--address", mcp.URL); !strings.Contains(out, "is this the address of an admin listener?") {
		t.Errorf("the agents' listener of a gateway: %s", out)
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	if code, out := command("admin", "status", "--address", strings.TrimPrefix(secure.URL, "https://")); code != exitFailure || !strings.Contains(out, "speaks HTTPS: --ca-file") {
		t.Errorf("HTTPS: %d %s", code, out)
	}
}
