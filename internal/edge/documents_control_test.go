package edge

import (
	"net/http"
	"strings"
	"testing"
)

// A fleet of one keeps its settings in a group of its own, with data_dir over restarts.
func TestFleetOfOneHasSettings(t *testing.T) {
	_, node := newServer(t)
	l, dir := &groupLog{}, "data_dir: "+t.TempDir()+"\n"
	m := l.alone(t, node, dir)
	m.wants(t, "PUT", "/v1/services/extra", at("/extra", node, ""), 201, `"in_force":true`)
	first := m.wants(t, "GET", "/v1/services/extra", "", 200, "").header.Get("ETag")
	if err := m.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := l.alone(t, node, dir)
	if !again.serves(t, "/extra") {
		t.Error("not served from the first moment")
	}
	await(t, "the log has it", func() bool { return len(again.documents.part.Set().All()) == 1 })
	again.wants(t, "PUT", "/v1/services/extra", at("/moved", node, ""), 200, `"in_force":true`, "If-Match", first)
	again.wants(t, "PUT", "/v1/services/extra", at("/extra", node, ""), 412, "revision", "If-Match", first)
	if !again.serves(t, "/moved") {
		t.Error("it did not move")
	}
	again.wants(t, "DELETE", "/v1/services/extra", "", 204, "")
}

// Three gateways of three regions agree on settings and orders through the real log, over the real links.
func TestThreeGatewaysAgreeOnSettings(t *testing.T) {
	_, b := newServer(t)
	_, c := newServer(t)
	w := newWorldWith(t, map[string]string{"a": b, "b": b, "c": c}, func(region string) string {
		return "control: {expect: [gw-a, gw-b, gw-c]}\n"
	})
	put := func(at, path, body string) (int, string) {
		code, answer := w.admin(t, at, http.MethodPut, path, body)
		return code, string(answer)
	}
	service := at("/extra", b, "")
	await(t, "the group agrees", func() bool { code, _ := put("a", "/v1/services/extra", service); return code == 201 || code == 200 })
	for region := range w.edges {
		await(t, region+" serves it", func() bool {
			_, answer := w.admin(t, region, http.MethodGet, "/v1/services/extra", "")
			return strings.Contains(string(answer), `"in_force":true`)
		})
	}
	await(t, "an order", func() bool { code, _ := put("b", "/v1/regions/c/order", `{"state":"off"}`); return code == 200 })
	for region := range w.edges {
		await(t, region+" obeys", func() bool { state, _ := w.state(t, region, "c"); return state == "off" })
	}
	for _, region := range []string{"b", "c"} {
		if err := w.edges[region].Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	await(t, "alone it refuses", func() bool {
		code, answer := put("a", "/v1/services/extra", at("/other", b, ""))
		return code == http.StatusServiceUnavailable && strings.Contains(answer, "no_quorum")
	})
	if code, answer := put("a", "/v1/regions/c/order", `{"state":"on"}`); code != http.StatusServiceUnavailable {
		t.Errorf("an order: %d %s", code, answer)
	}
	w.start(t, "b")
	await(t, "two agree again", func() bool { code, _ := put("b", "/v1/services/extra", at("/other", b, "")); return code == 200 })
	await(t, "the other follows", func() bool {
		_, answer := w.admin(t, "a", http.MethodGet, "/v1/services/extra", "")
		return strings.Contains(string(answer), `"path":"/other"},"in_force":true`)
	})
}
