package main

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate/plugins/plugintest"
	"github.com/quorate/quorate/strategies"
)

func TestContract(t *testing.T) {
	settings := fmt.Sprintf(`{"folder": %q}`, t.TempDir())
	plugintest.RunReplication(t, func() strategies.Replication { return &store{} }, settings, nil)
}
