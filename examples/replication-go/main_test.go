package main

import (
	"testing"

	"github.com/quorate/quorate/plugins/plugintest"
	"github.com/quorate/quorate/strategies"
)

func TestContract(t *testing.T) {
	plugintest.RunReplication(t, func() strategies.Replication { return strategies.PlanFunc(plan) }, "", nil)
}
