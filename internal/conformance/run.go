package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/quorate/quorate/internal/child"
)

// ErrDifferent is returned when a check came out otherwise than direct without being explained, or
// when the run proves nothing because the gateway or a node had no traffic.
var ErrDifferent = errors.New("conformance: through the gateway is not the same as direct")

// Config describes one conformance run.
type Config struct {
	Suite   Suite
	Backend string // the everything-server binary
	Front   StartFront
	Rows    []Row
	Pools   []int     // numbers of nodes behind the front, each 1..16
	Out     io.Writer // the report
	Log     io.Writer // output of the processes; nil drops it
}

// Header names the columns of the report's lines.
const Header = "row, direct p/f, through p/f, requests counted by the gateway, nodes used"

// Result is one row in front of one pool.
type Result struct {
	Row             Row
	Nodes           int
	Direct, Through Outcome
	Requests        int
	Used            map[string]int
	Differences     []Difference
	// Problems make the row fail.
	Problems []string
}

// String is the row's line.
func (r Result) String() string {
	pool := "1 node"
	if r.Nodes > 1 {
		pool = fmt.Sprintf("%d nodes", r.Nodes)
	}
	return fmt.Sprintf("%s through %s, %s, %s, %d, %d",
		r.Row.Name, pool, r.Direct.Figures(), r.Through.Figures(), r.Requests, len(r.Used))
}

// Run runs every row direct and in front of every pool, and reports line by line.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	group := child.NewGroup()
	defer group.Close()
	fmt.Fprintln(cfg.Out, Header)
	var results []Result
	failed := 0
	for _, row := range cfg.Rows {
		direct, err := cfg.direct(ctx, group, row)
		if err != nil {
			return results, fmt.Errorf("%s, direct: %w", row.Name, err)
		}
		for _, nodes := range cfg.Pools {
			r, err := cfg.through(ctx, group, row, nodes, direct)
			if err != nil {
				return results, fmt.Errorf("%s, through %d nodes: %w", row.Name, nodes, err)
			}
			results = append(results, r)
			cfg.report(r)
			if len(r.Problems) > 0 {
				failed++
			}
		}
	}
	if failed > 0 {
		return results, fmt.Errorf("%w: %d of %d rows", ErrDifferent, failed, len(results))
	}
	return results, nil
}

func (c Config) report(r Result) {
	fmt.Fprintln(c.Out, r)
	for _, d := range r.Differences {
		fmt.Fprintln(c.Out, "  ", d)
	}
	for _, p := range r.Problems {
		fmt.Fprintln(c.Out, "   FAIL:", p)
	}
}

func (c Config) direct(ctx context.Context, group *child.Group, row Row) (Outcome, error) {
	urls, stop, err := c.nodes(ctx, group, row, 1)
	if err != nil {
		return Outcome{}, err
	}
	defer stop()
	return c.suite(ctx, row, urls[0])
}

// nodes starts fresh nodes: the suite changes their lists of tools and prompts.
func (c Config) nodes(ctx context.Context, group *child.Group, row Row, n int) (urls []string, stop func(), err error) {
	var processes []*child.Process
	stop = func() {
		for _, p := range processes {
			p.Kill()
		}
	}
	for range n {
		p, url, err := startNode(ctx, group, c.Backend, row.Stateless, c.Log)
		if err != nil {
			stop()
			return nil, nil, err
		}
		processes, urls = append(processes, p), append(urls, url)
		if row.Stateless {
			if err := prime(ctx, url); err != nil {
				stop()
				return nil, nil, err
			}
		}
	}
	return urls, stop, nil
}

func (c Config) suite(ctx context.Context, row Row, url string) (Outcome, error) {
	dir, err := os.MkdirTemp("", "quorate-conformance-")
	if err != nil {
		return Outcome{}, fmt.Errorf("conformance: %w", err)
	}
	defer os.RemoveAll(dir)
	return c.Suite.Run(ctx, row, url, dir)
}

func (c Config) through(ctx context.Context, group *child.Group, row Row, nodes int, direct Outcome) (Result, error) {
	r := Result{Row: row, Nodes: nodes, Direct: direct}
	urls, stop, err := c.nodes(ctx, group, row, nodes)
	if err != nil {
		return r, err
	}
	defer stop()
	dir, err := os.MkdirTemp("", "quorate-conformance-gateway-")
	if err != nil {
		return r, fmt.Errorf("conformance: %w", err)
	}
	defer os.RemoveAll(dir)
	front, err := c.Front(ctx, group, dir, urls)
	if err != nil {
		return r, err
	}
	before, err := front.NodesUsed(ctx)
	if err == nil {
		if r.Through, err = c.suite(ctx, row, front.URL()); err == nil {
			err = r.count(ctx, front, before)
		}
	}
	if ended := front.Stop(); ended != nil {
		r.Problems = append(r.Problems, fmt.Sprintf("the gateway ended badly: %v", ended))
	}
	r.judge()
	return r, err
}

// count reads the front's own figures; attempts from before the suite do not count as use.
func (r *Result) count(ctx context.Context, front Front, before map[string]int) (err error) {
	if r.Requests, err = front.Requests(ctx); err != nil {
		return err
	}
	if r.Used, err = front.NodesUsed(ctx); err != nil {
		return err
	}
	for id, n := range before {
		if r.Used[id] <= n {
			delete(r.Used, id)
		}
	}
	return nil
}

// judge fails the row for every unexplained difference and for a run that proves nothing.
func (r *Result) judge() {
	if got := r.Direct.Figures(); got != r.Row.Figures {
		r.Problems = append(r.Problems, fmt.Sprintf("direct is %s, the reference has %s", got, r.Row.Figures))
	}
	r.Differences = Compare(r.Direct, r.Through)
	if n := len(explain(r.Differences, r.Row, r.Nodes, explained)); n > 0 {
		r.Problems = append(r.Problems, fmt.Sprintf("%d differences without an explanation", n))
	}
	if r.Through.Exit != r.Direct.Exit {
		r.Problems = append(r.Problems, fmt.Sprintf("the suite's exit status is %d, direct %d", r.Through.Exit, r.Direct.Exit))
	}
	if r.Requests < r.Through.Scenarios {
		r.Problems = append(r.Problems, fmt.Sprintf("%d requests counted for %d scenarios: the traffic went elsewhere",
			r.Requests, r.Through.Scenarios))
	}
	if len(r.Used) != r.Nodes {
		r.Problems = append(r.Problems, fmt.Sprintf("%d of %d nodes had traffic", len(r.Used), r.Nodes))
	}
}
