package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/regions"
)

// many is how many instances one answer of the benchmarks names.
const many = 10_000

// body is an answer of n instances as Consul writes it, with two checks each.
func body(tb testing.TB, n int) []byte {
	tb.Helper()
	list := make([]*api.ServiceEntry, n)
	for i := range list {
		node := fmt.Sprintf("host-%05d", i)
		list[i] = &api.ServiceEntry{
			Node: &api.Node{ID: fmt.Sprintf("%08x-0000-0000-0000-000000000000", i), Node: node, Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250), Datacenter: "us-east",
				TaggedAddresses: map[string]string{"lan": "10.0.0.1", "wan": "10.0.0.1"}, Meta: map[string]string{"consul-version": "1.19.2"}},
			Service: &api.AgentService{ID: fmt.Sprintf("search-%d", i), Service: "search", Tags: []string{"stable", "v1"}, Port: 9001,
				Meta: map[string]string{MetaVersion: "1", MetaSPKI: fmt.Sprintf("%064x", i)}, Weights: api.AgentWeights{Passing: 10, Warning: 1}},
			Checks: api.HealthChecks{
				{Node: node, CheckID: "serfHealth", Name: "Serf Health Status", Status: "passing", Output: "Agent alive and reachable"},
				{Node: node, CheckID: fmt.Sprintf("service:search-%d", i), Name: "Service 'search' check", Status: "passing", ServiceName: "search", ServiceTags: []string{"stable", "v1"}},
			},
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// BenchmarkUpdate takes in one answer that names many instances, all known already, with one change: decoding, judging
// and making proposals.
func BenchmarkUpdate(b *testing.B) {
	text := body(b, many)
	client := dial(b, ClientConfig{Address: "http://127.0.0.1:1"})
	s := quick(b, Config{Client: client, Tag: "stable"})
	index := uint64(1)
	update := func() (named int) {
		var list []instance
		if err := json.Unmarshal(text, &list); err != nil {
			b.Fatal(err)
		}
		index++
		list[index%many].Service.Weights.Passing++
		meta := &api.QueryMeta{LastIndex: index, KnownLeader: true}
		s.watch.take(meta, list, 0, func(o outcome[regions.Proposal]) { named += len(s.answer(o).Nodes) })
		return named
	}
	update()
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if n := update(); n != many {
			b.Fatalf("%d proposals", n)
		}
	}
}

// BenchmarkJudge is the part of BenchmarkUpdate after decoding: reading instances, judging, remembering, proposing.
func BenchmarkJudge(b *testing.B) {
	var list []instance
	if err := json.Unmarshal(body(b, many), &list); err != nil {
		b.Fatal(err)
	}
	s := quick(b, Config{Client: dial(b, ClientConfig{Address: "http://127.0.0.1:1"}), Tag: "stable"})
	index := uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		index++
		s.watch.take(&api.QueryMeta{LastIndex: index, KnownLeader: true}, list, 0, func(o outcome[regions.Proposal]) { s.answer(o) })
	}
}

// BenchmarkDecodeByLibrary decodes the same answer into the library's types, for comparison.
func BenchmarkDecodeByLibrary(b *testing.B) {
	text := body(b, many)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var list []*api.ServiceEntry
		if err := json.Unmarshal(text, &list); err != nil || len(list) != many {
			b.Fatal(err)
		}
	}
}

// realScale runs the benchmark against a real Consul: CONSUL_SCALE=1 go test -run '^$' -bench RealConsul -benchtime 10x
const realScale = "CONSUL_SCALE"

// BenchmarkRealConsul registers many instances in a real agent and measures, per change of one of them, the time from
// the change to the emission of the full set.
func BenchmarkRealConsul(b *testing.B) {
	if os.Getenv(realScale) == "" {
		b.Skip("LOUD: set " + realScale + "=1 to register 10,000 instances in a real Consul; it takes a minute")
	}
	c := startAgent(b, consulproc.Config{Datacenter: "us-east"})
	began := time.Now()
	for first := 0; first < many; first += 50 {
		c.fill(first, 50)
	}
	b.Logf("%d instances were registered within %v", many, time.Since(began))
	s := quick(b, Config{Client: dial(b, ClientConfig{Address: c.URL(), Timeout: 30 * time.Second})})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	emitted := make(chan outcome[regions.Proposal], 64)
	ended := make(chan struct{})
	go func() { defer close(ended); s.watch.run(ctx, func(o outcome[regions.Proposal]) { emitted <- o }) }()
	if o := <-emitted; o.err != nil || len(o.items) != many {
		b.Fatalf("first answer: %d, %v", len(o.items), o.err)
	}
	b.ReportAllocs()
	n := many
	for b.Loop() {
		c.fill(n, 1)
		n++
		for o := range emitted {
			if o.err != nil {
				b.Fatal(o.err)
			}
			if len(o.items) == n {
				break
			}
		}
	}
	cancel()
	<-ended
}

// fill registers n instances in the catalog, each on a Consul node of its own, in one transaction.
func (c *catalog) fill(first, n int) {
	c.t.Helper()
	var ops api.TxnOps
	for i := first; i < first+n; i++ {
		node := fmt.Sprintf("host-%05d", i)
		ops = append(ops,
			&api.TxnOp{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: api.Node{Node: node, Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250)}}},
			&api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: node, Service: api.AgentService{
				ID: fmt.Sprintf("search-%d", i), Service: "search", Port: 9001, Tags: []string{"stable"}, Meta: map[string]string{MetaVersion: "1"},
			}}})
	}
	ok, response, _, err := c.api.Txn().Txn(ops, nil)
	if err != nil || !ok {
		c.t.Fatalf("transaction: %v, %+v", err, response)
	}
}
