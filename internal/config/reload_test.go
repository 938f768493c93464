package config

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckReload(t *testing.T) {
	second := strings.NewReplacer("tools", "other", "/mcp\n", "/other\n").Replace(tail)
	tests := []struct {
		name, old, new, want string
	}{
		{"nothing", head + tail, head + tail, ""},
		{"nodes, routes, checks and level", head + tail, head + tail + "    checks: {interval: 1s}\n    routes: [{match: {tool: a}}]\nlog: {level: debug}\n", ""},
		{"order of services", head + tail + "    session: {idle: 1m}\n" + second, head + second + tail + "    session: {idle: 1m}\n", ""},
		{"a new service", head + tail, head + second + "    session: {idle: 1m}\n" + tail, ""},
		{"a default written out", head + tail, head + tail + "listen: {address: \"127.0.0.1:8080\"}\n", ""},
		{"names", head + tail, strings.NewReplacer("gw-1", "gw-2", "us-east", "us-west").Replace(head) + tail, "name, region"},
		{"addresses", head + tail, head + tail + "listen: {address: \"127.0.0.1:1\"}\nadmin: {address: \"127.0.0.1:2\"}\ndata_dir: /d\n", "data_dir, listen.address, admin.address"},
		{"a running service's sessions", head + tail, head + second + tail + "    session: {idle: 1m}\n", "services[tools].session.idle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckReload(load(t, tt.old), load(t, tt.new))
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if want := "config: reload: change of " + tt.want + " needs a restart"; err == nil || err.Error() != want || !errors.Is(err, ErrRestart) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

func load(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load(write(t, "quorate.yaml", text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
