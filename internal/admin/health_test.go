package admin

import (
	"net/http"
	"testing"
)

// TestHealthEndpoints: what each probe says of a gateway that lives, serves and may write, or not.
func TestHealthEndpoints(t *testing.T) {
	c := config()
	var (
		why    []string
		node   = "healthy"
		open   = true
		closed = "1 of 3 voters answers"
	)
	c.Ready = func() []string { return why }
	c.Status = func() Status { return Status{Services: []Service{{Name: "tools", Nodes: []Node{{State: node}}}}} }
	c.Gate = func() (bool, string) {
		if open {
			return true, ""
		}
		return false, closed
	}
	url := serve(t, c)
	want := func(path string, code int, body string) {
		t.Helper()
		if got := ask(t, http.MethodGet, url+path, nil); got.status != code || got.body != body+"\n" {
			t.Errorf("%s: %d %s, want %d %s", path, got.status, got.body, code, body)
		}
	}
	want("/health", 200, `{"status":"healthy","reasons":[],"gate":"open"}`)
	want("/writez", 200, `{"writable":true,"gate":"open","reason":""}`)
	want("/ready", 200, `{"ready":true,"reasons":[]}`)

	node = "unhealthy"
	want("/health", 200, `{"status":"degraded","reasons":["service tools: 1 of 1 nodes are not healthy"],"gate":"open"}`)

	open = false
	want("/health", 503, `{"status":"degraded","reasons":["service tools: 1 of 1 nodes are not healthy","gate closed: 1 of 3 voters answers"],"gate":"closed"}`)
	node = "healthy"
	want("/health", 503, `{"status":"degraded","reasons":["gate closed: 1 of 3 voters answers"],"gate":"closed"}`)
	want("/writez", 503, `{"writable":false,"gate":"closed","reason":"1 of 3 voters answers"}`)
	want("/readyz", 200, `{"ready":true,"reasons":[]}`) // a minority still serves reads

	why = []string{"draining"}
	want("/health", 503, `{"status":"unhealthy","reasons":["draining","gate closed: 1 of 3 voters answers"],"gate":"closed"}`)
	open = true
	want("/health", 200, `{"status":"unhealthy","reasons":["draining"],"gate":"open"}`)
	want("/ready", 503, `{"ready":false,"reasons":["draining"]}`)
	want("/readyz", 503, `{"ready":false,"reasons":["draining"]}`)
	want("/livez", 200, `{"live":true}`)
}

// A gateway without a control group is a fleet of one: nobody else can write what it writes.
func TestAFleetOfOneMayWrite(t *testing.T) {
	url := serve(t, config())
	for _, path := range []string{"/health", "/writez"} {
		if got := ask(t, http.MethodGet, url+path, nil); got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	for _, path := range []string{"/v1/cluster", "/v1/events"} {
		if got := ask(t, http.MethodGet, url+path, nil); got.status != 404 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}
