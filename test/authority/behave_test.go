package authority_test

import (
	"os"
	"strings"

	"github.com/quorate/quorate/internal/badplugin"
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

// pluginWord makes this test binary a strategy; the argument after it is the file that says how it behaves.
const pluginWord = "plugin"

// behave is a strategy in the mood that the file tells when it starts.
func behave(file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	mood := strings.TrimSpace(string(b))
	if mood != "first" {
		badplugin.Serve(mood)
		return
	}
	plugins.Serve(func(in strategies.Input) (strategies.Rule, error) { // sound, and not what is in force
		return strategies.AtLeast(1, strategies.One(in.Roster.Voters()[0].Name)), nil
	})
}
