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
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/regions/verify"
)

// firstLook is how long a start waits for the nodes' first checks, so that the first agent meets a
// pool whose eras are known. Nodes that need longer join later.
const firstLook = 2 * time.Second

var errStopped = errors.New("this gateway is shutting down")

// Options is what does not stand in the configuration file.
type Options struct {
	Version   string
	Logger    *slog.Logger
	Telemetry *telemetry.Telemetry
}

// Edge is one running gateway process.
type Edge struct {
	cfg       atomic.Pointer[config.Config]
	opts      Options
	log       *slog.Logger
	gateway   *gateway.Gateway
	trackers  *trackers
	links     *links
	region    *region
	probe     *http.Client
	reload    chan reloading
	data      *http.Server
	admin     *http.Server
	dataAddr  net.Addr
	adminAddr net.Addr
	draining  atomic.Bool
	failed    chan error
	stop      context.CancelFunc
	stopped   <-chan struct{} // closed by stop
	done      sync.WaitGroup
}

// Start brings everything up and returns when agents are served. The configuration must have been
// checked by config.Load.
func Start(ctx context.Context, cfg *config.Config, opts Options) (*Edge, error) {
	e := &Edge{opts: opts, log: opts.Logger, reload: make(chan reloading), failed: make(chan error, 2)}
	e.cfg.Store(cfg)
	e.probe = verify.AliveClient(nil)
	var err error
	if e.links, err = newLinks(cfg); err != nil {
		return nil, fmt.Errorf("edge: start: %w", err)
	}
	e.trackers = newTrackers(e.log, e.links, cfg.Region)
	if err := e.start(ctx, cfg); err != nil {
		e.trackers.close()
		e.closePeers(ctx)
		return nil, fmt.Errorf("edge: start: %w", err)
	}
	return e, nil
}

func (e *Edge) start(ctx context.Context, cfg *config.Config) error {
	// Sockets first: a port that is taken should not cost the nodes a single probe.
	dataListener, err := listen(cfg.Listen.Address, unreadBound)
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
	e.dataAddr, e.adminAddr = dataListener.Addr(), adminListener.Addr()
	e.serve(e.data, dataListener)
	e.serve(e.admin, adminListener)
	e.servePeers()
	return nil
}

// build makes every part and publishes the first table.
func (e *Edge) build(ctx context.Context, cfg *config.Config) error {
	var err error
	e.gateway, err = gateway.New(gateway.Config{
		Name:           cfg.Name,
		AllowedHosts:   allowedHosts(cfg),
		AllowedOrigins: cfg.Listen.AllowedOrigins,
		MaxBody:        int64(cfg.Listen.MaxBody),
		BodyTimeout:    cfg.Listen.BodyTimeout,
		Tracer:         e.tracer(),
		Duration:       e.duration,
		Outside:        outside{e.trackers, e.links, e.probe},
		Logger:         e.log.With("region", cfg.Region),
	})
	if err != nil {
		return err
	}
	if err := e.openRegion(cfg); err != nil {
		return err
	}
	if err := e.openPeers(cfg); err != nil {
		return err
	}
	if err := e.observe(); err != nil {
		return err
	}
	if e.data, err = e.dataServer(cfg); err != nil {
		return err
	}
	if e.admin, err = e.adminServer(cfg); err != nil {
		return err
	}
	w := &writer{log: e.log, gateway: e.gateway, trackers: e.trackers, links: e.links, region: e.region, cfg: cfg}
	if err := e.trackers.set(cfg); err != nil {
		return err
	}
	e.trackers.firstLook(ctx, firstLook)
	if err := w.publish(cfg); err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop, e.stopped = stop, run.Done()
	e.done.Go(func() { w.run(run, e.reload) })
	e.done.Go(func() { e.region.driver.Run(run) })
	e.done.Go(func() { e.housekeeping(run) })
	return nil
}

// housekeeping closes connections to nodes that nobody used for a while.
func (e *Edge) housekeeping(ctx context.Context) {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.gateway.CloseIdle()
		}
	}
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

// Reload takes a new configuration over, or refuses it whole and goes on with the old one.
func (e *Edge) Reload(cfg *config.Config) error {
	if err := config.CheckReload(e.cfg.Load(), cfg); err != nil {
		return err
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
	return nil
}

// Shutdown ends the process's work in this order: unready, streams ended in the protocol's own form,
// calls in flight finished within the configured bound, nodes told goodbye, telemetry flushed.
func (e *Edge) Shutdown(ctx context.Context) error {
	e.draining.Store(true)
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Load().Shutdown.Drain)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- e.data.Shutdown(ctx) }() // what other regions have passed on ends with the peers, below
	e.gateway.Close(ctx)
	err := <-drained
	if err != nil {
		err = errors.Join(fmt.Errorf("edge: drain: %w", err), e.data.Close())
	}
	e.stop()
	e.trackers.close()
	e.closePeers(ctx)
	_ = e.admin.Close() // status and metrics stay readable to the end
	e.done.Wait()
	e.gateway.Release()
	return err
}
