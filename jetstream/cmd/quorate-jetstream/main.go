// Command quorate-jetstream is the replication strategy jetstream: a gateway starts it and asks it.
package main

import (
	"log/slog"
	"os"

	"github.com/quorate/quorate/jetstream"
	"github.com/quorate/quorate/plugins"
)

func main() {
	plugins.ServeReplication(&jetstream.Store{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
}
