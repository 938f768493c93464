// Package doctor examines everything that a configuration names (resolvers, Consul, nodes, peers, files) by asking it
// once, and says what a person should do about what is wrong. It must not know how its findings are printed, and it
// must not change anything anywhere.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/sources"
	"github.com/quorate/quorate/regions/dns"
)

// Bounds of Options.Timeout.
const (
	MinTimeout     = 100 * time.Millisecond
	MaxTimeout     = 10 * time.Minute
	DefaultTimeout = 10 * time.Second
)

const (
	// grace is what may be over the timeout: answers that have come are written down, sessions on nodes are ended.
	grace = 500 * time.Millisecond
	// atOnce bounds the nodes and peers that are asked at one time.
	atOnce = 64
	// maxNodes bounds the nodes that are asked at all.
	maxNodes = 500
	// patience bounds one node or peer.
	patience = 5 * time.Second
)

// Options says what is examined.
type Options struct {
	Path    string        // of the configuration; required
	Environ []string      // as os.Environ returns it
	Version string        // of this build, said to peers
	Timeout time.Duration // of all of it, MinTimeout..MaxTimeout, default DefaultTimeout
}

// Run examines. It returns at most half a second after the timeout, whatever hangs; what did not answer is a row that
// says so. The error is about o, or says that ctx has ended.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Timeout < MinTimeout || o.Timeout > MaxTimeout {
		return Report{}, fmt.Errorf("doctor: timeout %s is outside %s..%s", o.Timeout, MinTimeout, MaxTimeout)
	}
	limited, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	e := newExamination(o)
	e.work.Go(func() { e.load(limited) })
	checks := e.wait(limited, grace, o.Timeout)
	if ctx.Err() != nil {
		return Report{}, fmt.Errorf("doctor: interrupted: %w", ctx.Err())
	}
	return newReport(checks), nil
}

// examination is one run.
type examination struct {
	Options
	*ledger
	began time.Time
	cfg   *config.Config
	slots chan struct{} // of nodes and peers

	// What is asked already; ledger.mu is held.
	seen   map[target]bool
	nodes  int           // of them
	ids    map[id]string // URL by id
	linked map[peer.Remote]bool
}

func newExamination(o Options) *examination {
	return &examination{
		Options: o, ledger: &ledger{}, began: time.Now(), slots: make(chan struct{}, atOnce),
		seen: map[target]bool{}, ids: map[id]string{}, linked: map[peer.Remote]bool{},
	}
}

// load reads the configuration; a bad one ends the examination.
func (e *examination) load(ctx context.Context) {
	row := e.begin(place{subject: aboutConfig}, "config", e.Path)
	cfg, err := config.Load(e.Path, e.Environ)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		row.drop()
		for i, p := range problems {
			e.begin(place{subject: aboutConfig, first: i}, "config", where(p)).set(Fail, p.Key+": "+p.What, "write "+p.Write)
		}
		return
	case err != nil:
		row.set(Fail, err.Error(), "correct the file")
		return
	}
	discover := 0
	for _, s := range cfg.Services {
		discover += len(s.Discover)
	}
	row.set(OK, counted(len(cfg.Services), "service")+", "+counted(discover, "source"), "-")
	e.cfg = cfg
	e.all(ctx)
}

// where is the place of a problem.
func where(p config.Problem) string {
	if p.Env != "" {
		return "environment: " + p.Env
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// all starts every other part.
func (e *examination) all(ctx context.Context) {
	e.work.Go(e.disk)
	e.work.Go(e.secrets)
	e.replication(ctx)
	maker, err := sources.New(e.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		e.begin(place{subject: aboutConsul}, "consul", e.cfg.Consul.Address).set(Fail, plainly(err), "correct the section consul")
		return
	}
	endpoint := &endpoint{done: make(chan struct{})}
	var asking sync.WaitGroup
	asking.Go(func() { e.consul(ctx, maker.Consul(), endpoint) })
	asking.Go(func() { e.peers(ctx, maker.Consul(), endpoint) })
	for i := range e.cfg.Services {
		all, err := maker.Of(e.cfg, i, nil)
		if err != nil {
			e.begin(place{subject: aboutService, first: i}, "service", e.cfg.Services[i].Name).
				set(Fail, plainly(err), fmt.Sprintf("correct services[%d].discover", i))
			continue
		}
		keys := e.dnsKeys(i)
		for j, s := range all {
			from := origin{service: i, source: j, name: s.Name}
			if _, ok := s.Source.(*dns.Source); ok && len(keys) > 0 {
				from.key, keys = keys[0], keys[1:]
			}
			asking.Go(func() { e.source(ctx, from, s.Source, endpoint) })
		}
	}
	e.work.Go(func() { asking.Wait(); maker.Close() })
}

// dnsKeys are the keys of a service's DNS sources, in the order in which they are made.
func (e *examination) dnsKeys(service int) (keys []string) {
	for i, d := range e.cfg.Services[service].Discover {
		if d.DNS != nil && !e.behind(d.DNS.Region) {
			keys = append(keys, fmt.Sprintf("services[%d].discover[%d].dns", service, i))
		}
	}
	return keys
}

// half is the time that sources may take, so that the nodes they name have the other half.
func (e *examination) half(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, e.began.Add(e.Timeout/2))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
