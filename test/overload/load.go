package overload

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The tools, named by the latency class that their routes give them.
const (
	Fast, Slow = "fast", "slow"
)

const (
	// useful is how late an answer may be and still be of use: what comes later is no goodput.
	useful = 250 * time.Millisecond
	// patience is when an agent hangs up.
	patience = time.Second
	// crowd bounds the calls in flight; one more counts as failed without being sent.
	crowd = 4000
)

// Ended is how a call ended.
type Ended uint8

// The ways to end.
const (
	Answered Ended = iota
	Shed           // -32073
	Refused        // any other answer that is no result
	GaveUp         // no answer within patience, or none at all
)

// Sample is one call.
type Sample struct {
	Phase int // when it was made
	Tool  string
	Took  time.Duration
	Ended Ended
}

// Load makes calls whether or not the ones before were answered.
type Load struct {
	url    string
	client *http.Client
	random *rand.Rand
	flight chan struct{}
	phases int
	work   sync.WaitGroup

	mu      sync.Mutex
	samples []Sample
}

func newLoad(url string, seed uint64) *Load {
	return &Load{
		url: url, random: rand.New(rand.NewPCG(seed, 1)), flight: make(chan struct{}, crowd),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crowd, DisableCompression: true}},
	}
}

// Run makes calls for a time, fast and slow ones at rates per second, at random moments, and returns the phase's
// number. It does not wait for the answers.
func (l *Load) Run(ctx context.Context, length time.Duration, fast, slow float64) int {
	phase := l.phases
	l.phases++
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	next := l.gap(fast + slow)
	for {
		select {
		case <-ctx.Done():
			return phase
		case <-tick.C:
		}
		now := time.Since(begin)
		for ; next <= min(now, length); next += l.gap(fast + slow) {
			tool := Slow
			if l.random.Float64()*(fast+slow) < fast {
				tool = Fast
			}
			l.send(ctx, phase, tool)
		}
		if now >= length {
			return phase
		}
	}
}

func (l *Load) gap(rate float64) time.Duration {
	return time.Duration(l.random.ExpFloat64() / rate * float64(time.Second))
}

func (l *Load) send(ctx context.Context, phase int, tool string) {
	select {
	case l.flight <- struct{}{}:
	default:
		l.record(Sample{phase, tool, patience, GaveUp})
		return
	}
	l.work.Go(func() {
		defer func() { <-l.flight }()
		begin := time.Now()
		ended := l.call(ctx, tool)
		l.record(Sample{phase, tool, time.Since(begin), ended})
	})
}

func (l *Load) record(s Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, s)
}

func (l *Load) call(ctx context.Context, tool string) Ended {
	const meta = `{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":{},"_meta":` + meta + `}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, strings.NewReader(body))
	if err != nil {
		return GaveUp
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
	} {
		r.Header.Set(name, value)
	}
	resp, err := l.client.Do(r)
	if err != nil {
		return GaveUp
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	switch {
	case err != nil:
		return GaveUp
	case resp.StatusCode == http.StatusOK && bytes.Contains(text, []byte(`"result"`)):
		return Answered
	case bytes.Contains(text, []byte(`"code":-32073`)):
		return Shed
	}
	return Refused
}

// Wait waits for the calls in flight.
func (l *Load) Wait() {
	l.work.Wait()
	l.client.CloseIdleConnections()
}

// Of returns a phase's calls of one tool, or of all with "". Some may be missing until Wait.
func (l *Load) Of(phase int, tool string) (s Samples) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.samples {
		if one.Phase == phase && (tool == "" || one.Tool == tool) {
			s = append(s, one)
		}
	}
	return s
}

// Samples are calls.
type Samples []Sample

// Good is how many were answered in time to be of use.
func (s Samples) Good() (n int) {
	for _, one := range s {
		if one.Ended == Answered && one.Took <= useful {
			n++
		}
	}
	return n
}

// Share is the part of the calls that ended so, 0 to 1.
func (s Samples) Share(as Ended) float64 {
	n := 0
	for _, one := range s {
		if one.Ended == as {
			n++
		}
	}
	return float64(n) / float64(max(len(s), 1))
}

// Added is the time beyond their work that p of the calls let in (0 to 1) took at most; a call that was given up
// took as long as its agent waited.
func (s Samples) Added(p float64) time.Duration {
	var times []time.Duration
	for _, one := range s {
		if one.Ended != Shed {
			times = append(times, one.Took-work)
		}
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[min(int(p*float64(len(times))), len(times)-1)]
}
