package main

import (
	"testing"

	"github.com/quorate/quorate/plugins/plugintest"
)

func TestContract(t *testing.T) { plugintest.Run(t, decide, nil) }
