package failover

import (
	"context"
	"net/http"

	"github.com/quorate/quorate/internal/mcpagent"
	"github.com/quorate/quorate/internal/mcpnode"
)

// rawAgent is an agent that costs little; its answers are tallied.
type rawAgent struct{ *mcpagent.Agent }

func newRawAgent(url string, legacy bool, t *tally) rawAgent {
	return rawAgent{mcpagent.New(url, legacy, counted{&http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}, t})}
}

func (r rawAgent) leave() { r.Close() } // which closes what is idle, no more

func (r rawAgent) close() { r.Close() }

func (r rawAgent) call(ctx context.Context, tool string, a mcpnode.Args) error {
	return r.Call(ctx, tool, a)
}
