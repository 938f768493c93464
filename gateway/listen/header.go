package listen

import (
	"log/slog"
	"net/http"
	"time"
)

// copyHeader passes a node's answer header on, but for what belongs to the node's connection.
func copyHeader(to, from http.Header) {
	for name, values := range from {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer",
			"Transfer-Encoding", "Upgrade", "Content-Length":
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
