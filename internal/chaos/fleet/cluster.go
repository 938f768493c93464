package fleet

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Cluster is what gateways say of the control group. It chooses victims and sets bounds; nothing is judged by it.
type Cluster struct {
	Leader  string
	Term    uint64
	Commit  uint64        // the last entry of the log that any knows to be committed
	Promise time.Duration // 0: unknown
	Rule    string        // that all gateways have applied; "" while they differ, it changes or one is silent
}

// said is one gateway's answer, as far as it is read.
type said struct {
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	Commit uint64 `json:"commit"`
	Rule   struct {
		Words     string  `json:"words"`
		Changing  bool    `json:"changing"`
		PromiseMS float64 `json:"promise_ms"`
	} `json:"rule"`
}

// Cluster joins what all gateways say that answer: the latest term and its leader, the longest promise.
func (f *Fleet) Cluster(ctx context.Context) (c Cluster) {
	answers := make([]said, len(f.members))
	var work sync.WaitGroup
	for i, m := range f.members {
		work.Go(func() {
			// Who does not answer says nothing.
			_, _ = m.ask(ctx, http.MethodGet, "/v1/cluster", nil, &answers[i])
		})
	}
	work.Wait()
	led := uint64(0) // the latest term with a leader: who asks for votes has a later one
	for i, a := range answers {
		c.Term = max(c.Term, a.Term)
		if a.Term >= led && f.Member(a.Leader) != nil {
			c.Leader, led = a.Leader, a.Term
		}
		c.Commit = max(c.Commit, a.Commit)
		if i == 0 {
			c.Rule = a.Rule.Words
		}
		if a.Rule.Changing || a.Rule.Words != c.Rule {
			c.Rule = ""
		}
		c.Promise = max(c.Promise, time.Duration(a.Rule.PromiseMS*float64(time.Millisecond)))
	}
	return c
}

// leader is who leads; in a fleet without a control group, and while nobody leads, the first gateway stands for it.
func (f *Fleet) leader(ctx context.Context) string {
	if c := f.Cluster(ctx); c.Leader != "" {
		return c.Leader
	}
	return f.members[0].Name
}
