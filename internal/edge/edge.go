// Package edge assembles one gateway process from a configuration: telemetry, verification, the writer
// of routing tables, the data plane, the admin listener, and their orderly end. It must not know how
// the process was started, nor hold any rule of routing itself.
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/internal/lastgood"
	"github.com/quorate/quorate/internal/regional"
	"github.com/quorate/quorate/internal/sources"
	"github.com/quorate/quorate/internal/telemetry"
)

// firstLook is how long a start waits for the nodes' first checks, so that the first agent meets a
// pool whose eras are known. Nodes that need longer join later.
const firstLook = 2 * time.Second

// eventsKept is how many authority events are remembered.
const eventsKept = 1024

var errStopped = errors.New("this gateway is shutting down")

// Options is what does not stand in the configuration file.
type Options struct {
	Version   string
	Logger    *slog.Logger
	Telemetry *telemetry.Telemetry
	// Group opens the control group over this gateway's parts of the replicated state; whoever opens it closes it,
	// after Shutdown. nil: there are no run-time settings, and orders travel between gateways alone.
	Group func(parts map[string]Part) (Proposer, error)
}

// Edge is one running gateway process.
type Edge struct {
	cfg       atomic.Pointer[config.Config] // the file and the run-time settings that fit it
	opts      Options
	log       *slog.Logger
	gateway   *gateway.Gateway
	trackers  *trackers
	sources   *sources.Maker
	documents *documents
	group     Proposer           // nil without a control group
	orders    *regional.Agreed   // without a control group nothing comes of it
	kept      *lastgood.Store    // nil without a data_dir
	withdraw  context.CancelFunc // takes this gateway out of Consul; nil where it is not in
	links     *links
	gate      *gate
	keys      *keys
	sessions  *kept
	strategy  *strategy // nil for a fleet of one
	events    *events.Ring
	region    *region
	reload    chan reloading
	data      *http.Server
	admin     *http.Server
	dataAddr  net.Addr
	adminAddr net.Addr
	draining  atomic.Bool
	refused   atomic.Pointer[string] // why the file as it is now is not followed; nil: it is
	token     *config.Token          // nil: the admin listener has none
	silent    atomic.Pointer[string] // why this voter acknowledges nobody until it is started again; nil: it does
	failed    chan error
	running   context.Context
	stop      context.CancelFunc
	stopped   <-chan struct{} // closed by stop
	done      sync.WaitGroup
}

// Start brings everything up and returns when agents are served. The file must have been read by config.Load.
func Start(ctx context.Context, file *config.Config, opts Options) (*Edge, error) {
	e := &Edge{opts: opts, log: opts.Logger, reload: make(chan reloading), failed: make(chan error, 2), gate: &gate{}}
	e.documents = newDocuments(file, e.log)
	e.orders = regional.NewAgreed()
	set := e.documents.set()
	cfg, misfits := e.documents.effective(file, set, nil)
	e.sessions = newKept(cfg)
	e.sessions.out.lives = e.lives
	e.documents.publish(set, misfits)
	e.cfg.Store(cfg)
	var err error
	if e.events, err = events.New(eventsKept, nil); err != nil {
		return nil, fmt.Errorf("edge: start: %w", err)
	}
	if e.links, err = newLinks(cfg); err != nil {
		return nil, fmt.Errorf("edge: start: %w", err)
	}
	if e.sources, err = sources.New(cfg, e.log); err != nil {
		return nil, fmt.Errorf("edge: start: %w", err)
	}
	kept, err := e.openKept(cfg)
	if err != nil {
		e.sources.Close()
		return nil, fmt.Errorf("edge: start: %w", err)
	}
	e.trackers = newTrackers(e.log, e.links, e.sources, cfg.Region, kept)
	if err := e.start(ctx, cfg); err != nil {
		if e.stop != nil {
			e.stop()
		}
		e.trackers.close()
		e.closeLedger(ctx)
		err = errors.Join(err, e.closeControl(ctx))
		e.closePeers(ctx)
		e.done.Wait()
		err = errors.Join(err, e.closeKeeper(ctx))
		e.sources.Close()
		return nil, fmt.Errorf("edge: start: %w", errors.Join(err, e.closeKept()))
	}
	return e, nil
}

func (e *Edge) start(ctx context.Context, cfg *config.Config) error {
	// Sockets first: a port that is taken should not cost the nodes a single probe.
	dataListener, err := listenAgents(cfg)
	if err != nil {
		return err
	}
	adminListener, err := net.Listen("tcp", cfg.Admin.Address)
	if err != nil {
		return errors.Join(err, dataListener.Close())
	}
	if err := e.listenPeers(cfg); err != nil {
		return errors.Join(err, dataListener.Close(), adminListener.Close())
	}
	if err := e.build(ctx, cfg); err != nil {
		return errors.Join(err, dataListener.Close(), adminListener.Close())
	}
	if !cfg.Controlled() {
		e.found(ctx)
	}
	e.dataAddr, e.adminAddr = dataListener.Addr(), adminListener.Addr()
	if !isWitness(cfg) {
		e.serve(e.data, dataListener)
	}
	e.serve(e.admin, adminListener)
	e.servePeers()
	if err := e.startDiscovery(e.running, cfg); err != nil {
		return errors.Join(err, e.data.Close(), e.admin.Close())
	}
	return nil
}

// build makes every part and publishes the first table.
func (e *Edge) build(ctx context.Context, cfg *config.Config) error {
	if err := e.openLedger(); err != nil {
		return err
	}
	var err error
	if e.gateway, err = gateway.New(e.dataPlane(cfg)); err != nil {
		return err
	}
	for _, open := range []func(*config.Config) error{
		e.openRegion, e.openPeers, e.openControl, e.openGroup, e.openKeeper,
		e.links.connect, // from here on others are told of a cluster
		e.observe,
	} {
		if err := open(cfg); err != nil {
			return err
		}
	}
	if e.data, err = e.dataServer(cfg); err != nil {
		return err
	}
	if e.admin, err = e.adminServer(cfg); err != nil {
		return err
	}
	services, err := gatewayServices(cfg)
	if err != nil {
		return err
	}
	w := &writer{services: services, log: e.log, gateway: e.gateway, trackers: e.trackers, links: e.links, region: e.region, cfg: cfg, leaving: make(map[string]time.Time)}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.running, e.stop, e.stopped = run, stop, run.Done()
	e.findPeers(run) // before the first look, which waits for what they say
	if err := e.trackers.set(cfg); err != nil {
		return err
	}
	if !e.trackers.restored() { // what is known from disk serves at once
		e.trackers.firstLook(ctx, firstLook)
	}
	if err := w.publish(cfg, services); err != nil {
		return err
	}
	e.done.Go(func() { w.run(run, e.reload) })
	e.done.Go(func() { e.region.driver.Run(run) })
	e.done.Go(func() { e.housekeeping(run) })
	e.serveKeeper(run)
	if !isWitness(cfg) {
		e.done.Go(func() { e.followDocuments(run) })
	}
	if e.strategy != nil {
		e.done.Go(func() { _ = e.strategy.Run(run) }) // ends with it
		e.done.Go(func() { e.followMembers(run) })
	}
	return nil
}

// dataPlane is what the gateway proper is made of.
func (e *Edge) dataPlane(cfg *config.Config) gateway.Config {
	g := gateway.Config{
		Name:           cfg.Name,
		AllowedHosts:   allowedHosts(cfg),
		AllowedOrigins: cfg.Listen.AllowedOrigins,
		MaxBody:        int64(cfg.Listen.MaxBody),
		BodyTimeout:    cfg.Listen.BodyTimeout,
		Tracer:         e.tracer(),
		Duration:       e.duration,
		Outside:        outside{e.trackers, e.links},
		Authority:      e.gate,
		Lease:          e.gate.lease,
		Ledger:         e.keys,
		Logger:         e.log.With("region", cfg.Region),
	}
	if !isWitness(cfg) {
		g.Keeper, g.Handles = sessionKeeper{e.sessions}, sessionKeeper{e.sessions}
		g.Relay, g.Alone = e.relay, !cfg.Controlled()
	}
	return g
}

// housekeeping closes connections to nodes that nobody used for a while, keeps the verified nodes on disk, and warns of
// what will hurt later.
func (e *Edge) housekeeping(ctx context.Context) {
	idle := time.NewTicker(30 * time.Second)
	defer idle.Stop()
	keep := time.NewTicker(keepEvery)
	defer keep.Stop()
	known := e.warnOfCertificate(nil, time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case <-idle.C:
			e.gateway.CloseIdle()
			known = e.warnOfCertificate(known, time.Now())
		case <-keep.C:
			e.keep()
			if err := e.links.forget(e.cfg.Load()); err != nil {
				e.log.Warn("links are not taken down", "cause", err.Error())
			}
		}
	}
}

// closeKept writes what is still to be kept.
func (e *Edge) closeKept() error {
	if e.kept == nil {
		return nil
	}
	return e.kept.Close()
}

func (e *Edge) serve(s *http.Server, l net.Listener) {
	e.done.Go(func() {
		serve := s.Serve
		if s.TLSConfig != nil {
			serve = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
		}
		if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
			e.failed <- err
		}
	})
}

// ListenAddr returns the address that agents are served on, with the real port.
func (e *Edge) ListenAddr() string { return e.dataAddr.String() }

// AdminAddr returns the address of the admin listener, with the real port.
func (e *Edge) AdminAddr() string { return e.adminAddr.String() }

// Failed delivers the error of a listener that ended by itself.
func (e *Edge) Failed() <-chan error { return e.failed }

// Reload takes a changed file over, or refuses it whole and goes on with the old one.
func (e *Edge) Reload(file *config.Config) error {
	err := e.takeFile(file)
	e.NoteFile(err)
	return err
}

// apply runs by another configuration, whole or not at all. documents.taking is held.
func (e *Edge) apply(cfg *config.Config) error {
	if err := config.CheckReload(e.cfg.Load(), cfg); err != nil {
		return err
	}
	if err := runs(cfg); err != nil {
		return fmt.Errorf("edge: reload: %w", err)
	}
	r := reloading{cfg: cfg, result: make(chan error, 1)}
	select {
	case e.reload <- r:
	case <-e.stopped:
		return fmt.Errorf("edge: reload: %w", errStopped)
	}
	if err := <-r.result; err != nil {
		return fmt.Errorf("edge: reload: %w", err)
	}
	e.cfg.Store(cfg)
	if err := e.sessions.plans.follow(cfg); err != nil {
		return fmt.Errorf("edge: reload: %w", err)
	}
	if e.sessions.store != nil {
		e.sessions.store.Replaced()
	}
	return nil
}

// Shutdown ends the process's work in this order: unready, streams ended in the protocol's own form,
// calls in flight finished within the configured bound, sessions brought to their copies, this gateway's life left
// so that others may claim them at once, telemetry flushed.
func (e *Edge) Shutdown(ctx context.Context) error {
	e.draining.Store(true)
	if e.withdraw != nil {
		e.withdraw() // others stop sending while what they have sent is still served
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Load().Shutdown.Drain)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- e.data.Shutdown(ctx) }() // what other regions have passed on ends with the peers, below
	e.gateway.Close(ctx)
	err := <-drained
	if err != nil {
		err = errors.Join(fmt.Errorf("edge: drain: %w", err), e.data.Close())
	}
	e.keep()
	e.closeLedger(ctx)
	e.flushSessions(ctx)
	err = errors.Join(err, e.closeControl(ctx)) // by way of the links
	e.stop()
	e.trackers.close()
	e.closePeers(ctx)
	_ = e.admin.Close() // status and metrics stay readable to the end
	e.done.Wait()
	e.gateway.Release()
	e.sources.Close()
	return errors.Join(err, e.closeKeeper(ctx), e.closeKept())
}
