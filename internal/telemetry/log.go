package telemetry

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel"
)

const redacted = "[redacted]"

// ParseLevel reads "debug", "info", "warn" or "error"; other words are an error.
func ParseLevel(word string) (slog.Level, error) {
	switch word {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("telemetry: level %q: write debug, info, warn or error", word)
}

// NewLogger returns a logger of JSON lines to w at the levels that level lets through; a reload
// changes it through a *slog.LevelVar. Secrets are redacted by what they are and by what they are
// called, as a second line behind callers that log none.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact}))
}

// CatchLibraryErrors sends errors that the OpenTelemetry SDK has no caller for to log. It changes
// the whole process: only main calls it, once.
func CatchLibraryErrors(log *slog.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry", "error", err) }))
}

func redact(_ []string, a slog.Attr) slog.Attr {
	if secretKey(a.Key) {
		return slog.String(a.Key, redacted)
	}
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	switch v := a.Value.Any().(type) {
	case http.Header, *http.Request, http.Request, *http.Response, http.Response, *http.Cookie, json.RawMessage, []byte:
		return slog.String(a.Key, redacted)
	case *url.URL:
		return slog.String(a.Key, bare(v))
	case url.URL:
		return slog.String(a.Key, bare(&v))
	}
	return a
}

// secretKey reports whether a key's own name says that its value must not be logged. A session's
// hash goes by "session".
func secretKey(key string) bool {
	key = strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	switch key {
	case "authorization", "proxy_authorization", "cookie", "set_cookie", "mcp_session_id", "session_id",
		"password", "secret", "token", "api_key", "x_api_key", "header", "headers", "body", "params", "arguments", "args":
		return true
	}
	return strings.HasPrefix(key, "mcp_param_") || strings.HasSuffix(key, "_token") || strings.HasSuffix(key, "_secret") || strings.HasSuffix(key, "_password")
}

// bare is a URL without what may be secret in it: user, query and fragment.
func bare(u *url.URL) string {
	if u == nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
