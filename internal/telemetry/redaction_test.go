package telemetry

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/logbook"
)

const secret = "hunter2-SECRET"

// TestNoSecretInSpans sends a request whose every header, parameter and URI is a secret.
func TestNoSecretInSpans(t *testing.T) {
	c := collect(t, nil)
	tel := traced(t, c, Traces{SamplePercent: 100})
	h := http.Header{}
	for _, name := range []string{"Authorization", "Cookie", "Mcp-Session-Id", "Mcp-Name", "Mcp-Param-Card", "X-Api-Key", "Baggage", "User-Agent"} {
		h.Set(name, secret)
	}
	ctx, request := tel.Tracer().Request(t.Context(), h, "", Request{Service: "tools", Era: "legacy", Method: "tools/call", Session: "0a1b2c"})
	_, attempt := tel.Tracer().Attempt(ctx, Attempt{Node: "a", Number: 1})
	attempt.Inject(h)
	attempt.End("ok")
	request.End("unknown")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 2 || !bytes.Contains(c.raw, []byte("0a1b2c")) {
		t.Fatalf("%d spans; the test shows nothing", len(c.spans))
	}
	if bytes.Contains(c.raw, []byte(secret)) {
		t.Errorf("a span holds a header's value: %q", c.raw)
	}
	allowed := map[string]bool{"quorate.service": true, "quorate.era": true, "mcp.method.name": true, "gen_ai.tool.name": true,
		"quorate.retry_class": true, "quorate.session": true, "quorate.outcome": true, "quorate.node": true, "quorate.attempt": true,
		"quorate.class": true, "quorate.spill": true, "quorate.region": true, "quorate.region_class": true, "quorate.region_rtt_ms": true}
	for _, s := range c.spans {
		for _, a := range s.GetAttributes() {
			if !allowed[a.GetKey()] {
				t.Errorf("span %s has the attribute %s", s.GetName(), a.GetKey())
			}
		}
	}
}

func TestNoSecretInLogs(t *testing.T) {
	u := &url.URL{Scheme: "https", Host: "node", Path: "/mcp", RawQuery: "key=" + secret, User: url.UserPassword("u", secret), Fragment: secret}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.String(), strings.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", secret)
	for name, attr := range map[string]slog.Attr{
		"header map":         slog.Any("got", request.Header),
		"request":            slog.Any("got", request),
		"url":                slog.Any("url", u),
		"url by value":       slog.Any("url", *u),
		"raw JSON":           slog.Any("got", json.RawMessage(`"`+secret+`"`)),
		"bytes":              slog.Any("got", []byte(secret)),
		"cookie":             slog.Any("got", &http.Cookie{Name: "a", Value: secret}),
		"by name":            slog.String("authorization", secret),
		"by name, as sent":   slog.String("Authorization", secret),
		"session id":         slog.String("Mcp-Session-Id", secret),
		"mirrored parameter": slog.String("Mcp-Param-Card", secret),
		"arguments":          slog.Any("arguments", map[string]any{"card": secret}),
		"suffix":             slog.String("admin_token", secret),
		"in a group":         slog.Group("http", slog.String("cookie", secret)),
	} {
		var out logbook.Book
		log := NewLogger(&out, slog.LevelDebug)
		log.Info("m", attr)
		log.With(attr).WithGroup("g").Info("m", attr)
		if got := out.String(); strings.Contains(got, secret) || strings.Count(got, "\n") != 2 {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestLogKeepsWhatItNeeds: ids and nodes' addresses are what an operator searches for.
func TestLogKeepsWhatItNeeds(t *testing.T) {
	var out logbook.Book
	level := new(slog.LevelVar)
	log := NewLogger(&out, level)
	log.Debug("hidden")
	log.Info("serving", "listen", "127.0.0.1:1", "session", "0a1b2c", "request", "7", "node", "a", "region", "us-east",
		"url", &url.URL{Scheme: "http", Host: "n:1", Path: "/mcp"})
	level.Set(slog.LevelDebug)
	log.Debug("shown")
	first, second, _ := strings.Cut(out.String(), "\n")
	var got map[string]any
	if err := json.Unmarshal([]byte(first), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"msg": "serving", "level": "INFO", "listen": "127.0.0.1:1", "session": "0a1b2c",
		"request": "7", "node": "a", "region": "us-east", "url": "http://n:1/mcp"} {
		if got[key] != want {
			t.Errorf("%s = %v, want %s", key, got[key], want)
		}
	}
	if !strings.Contains(second, `"msg":"shown"`) {
		t.Errorf("the level did not follow: %s", second)
	}
}

func TestLevels(t *testing.T) {
	for word, want := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError} {
		if got, err := ParseLevel(word); err != nil || got != want {
			t.Errorf("ParseLevel(%s) = %v, %v", word, got, err)
		}
	}
	for _, word := range []string{"", "INFO", "trace", "info+1"} {
		if _, err := ParseLevel(word); err == nil {
			t.Errorf("ParseLevel(%q) is no error", word)
		}
	}
}
