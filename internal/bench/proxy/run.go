package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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
	For                  time.Duration // of one measurement
	Warm                 time.Duration // load before each measurement
	Sessions, Streams    int           // for the memory figures; 0 leaves them out
	Profile              string        // file for a processor profile of Quorate, taken after the rounds; "" takes none
	Out                  io.Writer     // the report
	Log                  io.Writer     // output of the processes; nil drops it

	cores int
}

// Sample is one measurement.
type Sample struct {
	System string
	Kind   Kind
	Round  int
	Figures
	CPU time.Duration // of the proxy process during the load
}

// PerRequest is the proxy's processor time per request in microseconds.
func (s Sample) PerRequest() float64 {
	return float64(s.CPU.Nanoseconds()) / 1000 / float64(s.Requests)
}

type run struct {
	cfg      Config
	group    *child.Group
	dir      string
	upstream string // HOST:PORT
}

// Run measures and reports. It returns ErrInvalid or ErrTooSlow after the whole report.
func Run(ctx context.Context, cfg Config) error {
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

// rounds measures every system and kind in every round. The order moves by one from round to round, so
// that a drift of the machine does not always meet the same system.
func (r *run) rounds(ctx context.Context) ([]Sample, error) {
	systems, err := r.start(ctx)
	if err != nil {
		return nil, err
	}
	var samples []Sample
	for round := range r.cfg.Rounds {
		for i := range systems {
			s := systems[(round+i)%len(systems)]
			for _, k := range Kinds {
				sample, err := r.measure(ctx, s, k)
				if err != nil {
					return nil, fmt.Errorf("%s, %s, round %d: %w", s.name, k, round+1, err)
				}
				sample.Round = round + 1
				samples = append(samples, sample)
				fmt.Fprintf(r.cfg.Out, "round %d %-12s %-4s %8.0f req/s  p50 %6.0f µs  p99 %6.0f µs  cpu %6.1f µs/req\n", sample.Round,
					s.name, k, sample.PerSecond(), micro(sample.P50), micro(sample.P99), sample.PerRequest())
			}
		}
	}
	return samples, stop(systems)
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
	return Sample{System: s.name, Kind: k, Figures: f, CPU: after - before}, err
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
