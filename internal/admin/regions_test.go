package admin

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/quorate/quorate/internal/settings"
)

// fleet answers as a gateway of two regions does.
func fleet(given *[]Order) Config {
	c := config()
	c.Regions = func() []Region {
		return []Region{{Name: "us-east", Local: true, State: "on"}, {Name: "eu-west", State: "off", Cause: "ordered"}}
	}
	c.Order = func(o Order) error {
		switch o.Region {
		case "us-east":
			return fmt.Errorf("us-east is the last region: %w", ErrRefused)
		case "eu-west":
			*given = append(*given, o)
			return nil
		case "broken":
			return errors.New("disk full")
		}
		return ErrUnknownRegion
	}
	return c
}

func put(t *testing.T, url, kind, body string) answer {
	t.Helper()
	return send(t, http.MethodPut, url, kind, strings.NewReader(body))
}

func TestOrders(t *testing.T) {
	var given []Order
	url := serve(t, fleet(&given))
	for _, tc := range []struct {
		region, kind, body string
		status             int
		says               string
	}{
		{"eu-west", "application/json", `{"state":"draining","over":"5m"}`, 200, `"name":"eu-west"`},
		{"eu-west", "application/json; charset=utf-8", `{"state":"on"}`, 200, `"cause":"ordered"`},
		{"eu-west", "text/plain", `{"state":"off"}`, 400, "Content-Type"},
		{"eu-west", "application/json", `{"state":"gone"}`, 400, "on, draining or off"},
		{"eu-west", "application/json", `{"state":"off","over":"5"}`, 400, "over must be"},
		{"eu-west", "application/json", `{"state":"off","over":"-5m"}`, 400, "over must be"},
		{"eu-west", "application/json", `{"state":"off","over":"25h"}`, 400, "over must be"},
		{"eu-west", "application/json", `{"state":"on","over":"5m"}`, 400, "ramp"},
		{"eu-west", "application/json", `{"state":"off","why":"x"}`, 400, "nothing else"},
		{"eu-west", "application/json", `{"state":"off"}{}`, 400, "nothing behind it"},
		{"eu-west", "application/json", ``, 400, "send"},
		{"eu-west", "application/json", `{"state":"` + strings.Repeat("x", 100<<10) + `"}`, 400, "send"},
		{"us-east", "application/json", `{"state":"off"}`, 409, "last region"},
		{"moon", "application/json", `{"state":"off"}`, 404, "no such region"},
		{"broken", "application/json", `{"state":"off"}`, 500, "disk full"},
		{"a/b", "application/json", `{"state":"off"}`, 404, "no such path"},
	} {
		got := put(t, url+"/v1/regions/"+tc.region+"/order", tc.kind, tc.body)
		if got.status != tc.status || !strings.Contains(got.body, tc.says) {
			t.Errorf("%s %.60s: %d %s", tc.region, tc.body, got.status, got.body)
		}
	}
	if len(given) != 2 || given[0].Over != 5*time.Minute || given[0].State != "draining" || !strings.HasPrefix(given[0].By, "admin from 127.0.0.1:") {
		t.Errorf("orders %+v", given)
	}
	if got := ask(t, http.MethodGet, url+"/v1/regions/eu-west/order", nil); got.status != 405 || got.header.Get("Allow") != "PUT" {
		t.Errorf("GET of an order: %d", got.status)
	}
}

// A page of another site cannot give orders.
func TestOrdersFromOtherSitesAreRefused(t *testing.T) {
	var given []Order
	url := serve(t, fleet(&given))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/v1/regions/eu-west/order", strings.NewReader(`{"state":"off"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Origin": {"https://evil.example"}}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || len(given) != 0 {
		t.Errorf("%d, %d orders", resp.StatusCode, len(given))
	}
}

func TestListsAreNeverNull(t *testing.T) {
	var given []Order
	url := serve(t, fleet(&given))
	for _, path := range []string{"/v1/regions", "/v1/nodes"} {
		got := ask(t, http.MethodGet, url+path, nil)
		if got.status != 200 || strings.Contains(strings.ReplaceAll(strings.ReplaceAll(got.body, `"order":null`, ""), `"since":null`, ""), "null") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

// The API's description names what there is, and nothing else; docs has the same.
func TestOpenAPIIsTrue(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	var given []Order
	c, a := fleet(&given), newAgreed()
	c.Settings, c.Voters, c.Sessions = a, &voting{}, lasting()
	for _, kind := range settings.Kinds() {
		if _, _, err := a.Put(t.Context(), SettingChange{Kind: kind, Name: "eu-west", Body: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	controlled(&c)
	for path, at := range routes(c) {
		for method := range at.methods {
			if method == http.MethodHead {
				continue
			}
			if doc.Paths[path][strings.ToLower(method)] == nil {
				t.Errorf("%s %s is not described", method, path)
			}
		}
	}
	url := serve(t, c)
	for path, methods := range doc.Paths {
		for method := range methods {
			if !slices.Contains([]string{"get", "put", "post"}, method) {
				continue
			}
			if got := ask(t, strings.ToUpper(method), url+strings.Replace(path, "{name}", "eu-west", 1), nil); got.status == 404 || got.status == 405 {
				t.Errorf("%s %s is described, and answers %d", method, path, got.status)
			}
		}
	}
	copied, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil || !bytes.Equal(copied, openAPI) {
		t.Errorf("docs/openapi.yaml is not internal/admin/openapi.yaml (go generate copies it): %v", err)
	}
}
