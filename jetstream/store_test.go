package jetstream

import (
	"log/slog"
	"testing"

	"github.com/quorate/quorate/plugins/plugintest"
	"github.com/quorate/quorate/strategies"
)

// TestContract runs the suite that any store has to pass against three servers that sync always.
func TestContract(t *testing.T) {
	c := cluster(t)
	plugintest.RunReplication(t, func() strategies.Replication { return &Store{Log: slog.New(slog.NewTextHandler(t.Output(), nil))} }, c.Settings("contract"), nil)
}
