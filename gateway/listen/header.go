package listen

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// copyHeader passes a node's answer header on, but for what belongs to the node's connection, and for which pages may
// read it: that is the gateway's to say, and so it has.
func copyHeader(to, from http.Header) {
	for name, values := range from {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer",
			"Transfer-Encoding", "Upgrade", "Content-Length":
			continue
		case "Vary":
			to[name] = append(to[name], values...) // the gateway may vary by Origin, too
			continue
		}
		if strings.HasPrefix(name, "Access-Control-") {
			continue
		}
		to[name] = append([]string(nil), values...)
	}
}

func levelOf(acked bool) slog.Level {
	if acked {
		return slog.LevelInfo
	}
	return slog.LevelDebug // the first loss was told; tries in between are noise
}

func attrs(node Node, err error, pause time.Duration) []slog.Attr {
	return []slog.Attr{slog.String("node", string(node.ID())), slog.String("cause", err.Error()), slog.Duration("retry_in", pause)}
}
