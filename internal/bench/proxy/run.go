package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/quorate/quorate/internal/child"
)

// MaxRatio is the bar: Quorate's processor time per request over that of the bare ReverseProxy.
const MaxRatio = 1.15

// MaxSpread is how far the rounds of one system may be apart, largest over smallest, for the run to be valid.
const MaxSpread = 1.15

var (
	// ErrInvalid is returned when rounds are too far apart: the machine was doing something else.
	ErrInvalid = errors.New("proxy: rounds are too far apart")
	// ErrTooSlow is returned when Quorate misses the bar.
	ErrTooSlow = errors.New("proxy: quorate is above the bar")
)

// Config describes one bench.
type Config struct {
	Self    string // the binary whose commands upstream, reverseproxy and load run the bench's own processes
	Quorate string // the quorate binary
	HAProxy string // the haproxy binary
	// ProxyCPUs and OtherCPUs are lists of cores for taskset: the proxies', and those of the load and
	// the upstream. They should not overlap.
	ProxyCPUs, OtherCPUs string
	Connections          int           // 1..1024
	Rounds               int           // at least 1
	Slices               int           // turns of each system in a round, at least 1
	For                  time.Duration // of one slice
	Warm                 time.Duration // load before each slice
	Sessions, Streams    int           // for the memory figures; 0 leaves them out
	Profile              string        // file for a processor profile of Quorate, taken after the rounds; "" takes none
	Out                  io.Writer     // the report
	Log                  io.Writer     // output of the processes; nil drops it

	cores int
}

// Sample is one system under one kind of load in one round: the sum of its slices.
type Sample struct {
	System   string
	Kind     Kind
	Requests int
	Elapsed  time.Duration
	CPU      time.Duration // of the proxy process during the load
	p50, p99 []time.Duration
}

// with adds a slice.
func (s Sample) with(o Sample) Sample {
	o.Requests += s.Requests
	o.Elapsed += s.Elapsed
	o.CPU += s.CPU
	o.p50 = append(slices.Clip(s.p50), o.p50...)
	o.p99 = append(slices.Clip(s.p99), o.p99...)
	return o
}

// PerRequest is the proxy's processor time per request in microseconds.
func (s Sample) PerRequest() float64 { return micro(s.CPU) / float64(s.Requests) }

// PerSecond is the rate of answered requests.
func (s Sample) PerSecond() float64 { return float64(s.Requests) / s.Elapsed.Seconds() }

// P50 is the median of the slices' medians.
func (s Sample) P50() time.Duration { return middle(s.p50) }

// P99 is the median of the slices' 99th percentiles.
func (s Sample) P99() time.Duration { return middle(s.p99) }

func middle(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

type run struct {
	cfg      Config
	group    *child.Group
	dir      string
	upstream string // HOST:PORT
}

// Run measures and reports. It returns ErrInvalid or ErrTooSlow after the whole report.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Rounds < 1 || cfg.Slices < 1 {
		return fmt.Errorf("proxy: %d rounds of %d slices: write at least 1", cfg.Rounds, cfg.Slices)
	}
	dir, err := os.MkdirTemp("", "quorate-bench-proxy-")
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	defer os.RemoveAll(dir)
	r := &run{cfg: cfg, group: child.NewGroup(), dir: dir}
	defer r.group.Close()
	if r.cfg.cores, err = countCores(ctx, cfg.ProxyCPUs); err != nil {
		return err
	}
	if err := r.startUpstream(ctx); err != nil {
		return err
	}
	samples, err := r.rounds(ctx)
	if err != nil {
		return err
	}
	if err := r.extras(ctx); err != nil {
		return err
	}
	return report(cfg.Out, samples)
}

// countCores asks taskset how many cores a list names.
func countCores(ctx context.Context, cpus string) (int, error) {
	path, args := pinned(cpus, "nproc")
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if err != nil {
		return 0, fmt.Errorf("proxy: cores %q: %w", cpus, err)
	}
	var n int
	if _, err := fmt.Sscan(string(out), &n); err != nil {
		return 0, fmt.Errorf("proxy: cores %q: %w", cpus, err)
	}
	return n, nil
}

// rounds measures every system and kind in every round, in slices that alternate between the systems:
// what else the machine does in a round then meets all of them. The order moves by one from slice to slice.
func (r *run) rounds(ctx context.Context) ([]Sample, error) {
	systems, err := r.start(ctx)
	if err != nil {
		return nil, err
	}
	var samples []Sample
	for round := range r.cfg.Rounds {
		merged := map[key]Sample{}
		for slice := range r.cfg.Slices {
			for i := range systems {
				if err := r.turn(ctx, systems[(round+slice+i)%len(systems)], merged); err != nil {
					return nil, fmt.Errorf("round %d: %w", round+1, err)
				}
			}
		}
		for _, s := range systems {
			for _, k := range Kinds {
				sample := merged[key{s.name, k}]
				samples = append(samples, sample)
				fmt.Fprintf(r.cfg.Out, "round %d %-12s %-4s %8.0f req/s  p50 %6.0f µs  p99 %6.0f µs  cpu %6.1f µs/req\n", round+1,
					s.name, k, sample.PerSecond(), micro(sample.P50()), micro(sample.P99()), sample.PerRequest())
			}
		}
	}
	return samples, stop(systems)
}

// turn measures one slice of one system, both kinds.
func (r *run) turn(ctx context.Context, s *system, merged map[key]Sample) error {
	for _, k := range Kinds {
		slice, err := r.measure(ctx, s, k)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", s.name, k, err)
		}
		merged[key{s.name, k}] = merged[key{s.name, k}].with(slice)
	}
	return nil
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func (r *run) start(ctx context.Context) ([]*system, error) {
	quorate, err := r.startQuorate(ctx, "quorate")
	if err != nil {
		return nil, err
	}
	reverse, err := r.startReverseProxy(ctx)
	if err != nil {
		return nil, err
	}
	haproxy, err := r.startHAProxy(ctx)
	if err != nil {
		return nil, err
	}
	return []*system{haproxy, reverse, quorate}, nil
}

// stop ends Quorate in its orderly way, which has to succeed; the others die with the group.
func stop(systems []*system) error {
	for _, s := range systems {
		if s.gateway != nil {
			if err := s.gateway.Stop(); err != nil {
				return fmt.Errorf("proxy: quorate ended badly: %w", err)
			}
		}
	}
	return nil
}

func (r *run) measure(ctx context.Context, s *system, k Kind) (Sample, error) {
	if _, err := r.load(ctx, s, k, r.cfg.Warm); err != nil {
		return Sample{}, err
	}
	before, err := cpu(s.pid)
	if err != nil {
		return Sample{}, err
	}
	f, err := r.load(ctx, s, k, r.cfg.For)
	if err != nil {
		return Sample{}, err
	}
	after, err := cpu(s.pid)
	return Sample{
		System: s.name, Kind: k, Requests: f.Requests, Elapsed: f.Elapsed, CPU: after - before,
		p50: []time.Duration{f.P50}, p99: []time.Duration{f.P99},
	}, err
}

// DoneMsg is the "msg" of the line with which the load process reports.
const DoneMsg = "done"

// Report is that line.
type Report struct {
	Msg string `json:"msg"`
	Figures
}

// load runs the load in a process of its own and waits for its report.
func (r *run) load(ctx context.Context, s *system, k Kind, d time.Duration) (Figures, error) {
	ctx, cancel := context.WithTimeout(ctx, d+startTimeout)
	defer cancel()
	path, args := pinned(r.cfg.OtherCPUs, r.cfg.Self, "load", "--address", s.address, "--kind", string(k),
		"--connections", strconv.Itoa(r.cfg.Connections), "--for", d.String())
	var said tail
	p, line, err := r.group.Start(ctx, child.Spec{Path: path, Args: args, Ready: child.Stdout, ReadyMsg: DoneMsg, Log: &said})
	if err != nil {
		return Figures{}, fmt.Errorf("%w: %s", err, said.String())
	}
	var rep Report
	if err := json.Unmarshal(line, &rep); err != nil {
		return Figures{}, fmt.Errorf("proxy: load: %w", err)
	}
	return rep.Figures, p.Err()
}
