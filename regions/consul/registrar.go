package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"
)

// RegistrarConfig says how a gateway shows itself in the catalog.
type RegistrarConfig struct {
	Client *Client // of the agent that the gateway belongs to; required
	// ConsulService is the name registered under, default GatewayService. ID is unique on the agent, default
	// ConsulService-Name.
	ConsulService, ID string
	Name, Region      string // the gateway's; required
	Version           string
	Address           string // host:port of the peer listener, as other gateways reach it; required
	URL               string // of the data plane
	Tags              []string

	// CheckHTTP is a URL that the agent asks for the gateway's health; CheckTCP has it connect to Address. With neither
	// the gateway reports itself (a TTL check).
	CheckHTTP string
	CheckTCP  bool
	// TTL is after how long without a report the gateway is critical; the agent's own checks run every third of it.
	// 1 s..10 m, default 15 s. Every third of it the registrar sees to it that the agent still has the registration.
	TTL time.Duration
	// DeregisterAfter is when the agent drops a critical gateway, from Consul's least of 1 m; default 10 m.
	DeregisterAfter time.Duration
	Logger          *slog.Logger // required
}

// Registrar keeps one gateway registered at its agent.
type Registrar struct {
	cfg          RegistrarConfig
	registration *api.AgentServiceRegistration
	registered   bool
	complained   string // the last error that was logged, "" after a success
}

// NewRegistrar returns a Registrar, or every problem of cfg at once.
func NewRegistrar(cfg RegistrarConfig) (*Registrar, error) {
	cfg.ConsulService = cmp.Or(cfg.ConsulService, GatewayService)
	cfg.ID = cmp.Or(cfg.ID, cfg.ConsulService+"-"+cfg.Name)
	cfg.TTL = cmp.Or(cfg.TTL, 15*time.Second)
	cfg.DeregisterAfter = cmp.Or(cfg.DeregisterAfter, 10*time.Minute)
	host, port, problems := cfg.problems()
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("consul: registrar: %w", err)
	}
	r := &Registrar{cfg: cfg}
	r.registration = &api.AgentServiceRegistration{
		ID: cfg.ID, Name: cfg.ConsulService, Address: host, Port: port, Tags: cfg.Tags, Meta: cfg.meta(), Check: cfg.check(),
	}
	return r, nil
}

func (c *RegistrarConfig) problems() (host string, port int, problems []error) {
	bad := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	host, digits, err := net.SplitHostPort(c.Address)
	port, _ = strconv.Atoi(digits)
	bad(c.Client == nil || c.Logger == nil, "client and logger are required")
	bad(c.Name == "" || c.Region == "", "name and region are required")
	bad(!catalogName(c.ConsulService) || !catalogName(c.ID), "service %q or id %q is not a name", c.ConsulService, c.ID)
	bad(err != nil || host == "" || port < 1 || port > 65535, "address %q is not HOST:PORT", c.Address)
	ip := net.ParseIP(host)
	bad(ip != nil && ip.IsUnspecified(), "address %q is nowhere that another gateway could reach", c.Address)
	bad(c.CheckHTTP != "" && c.CheckTCP, "one of the http and the tcp check, not both")
	bad(c.TTL < time.Second || c.TTL > 10*time.Minute, "ttl %s is outside 1s..10m", c.TTL)
	bad(c.DeregisterAfter < time.Minute, "deregister after %s is below 1m", c.DeregisterAfter)
	return host, port, problems
}

func (c *RegistrarConfig) meta() map[string]string {
	m := map[string]string{MetaGateway: c.Name, MetaRegion: c.Region}
	if c.URL != "" {
		m[MetaURL] = c.URL
	}
	if c.Version != "" {
		m[MetaVersion] = c.Version
	}
	return m
}

func (c *RegistrarConfig) checkID() string { return "service:" + c.ID }

// check passes from the start: the gateway registers once it serves.
func (c *RegistrarConfig) check() *api.AgentServiceCheck {
	check := &api.AgentServiceCheck{
		CheckID: c.checkID(), Name: "quorate gateway", Status: api.HealthPassing,
		DeregisterCriticalServiceAfter: c.DeregisterAfter.String(),
	}
	switch {
	case c.CheckHTTP != "":
		check.HTTP = c.CheckHTTP
	case c.CheckTCP:
		check.TCP = c.Address
	default:
		check.TTL = c.TTL.String()
		return check
	}
	check.Interval, check.Timeout = (c.TTL / 3).String(), (c.TTL / 3).String()
	return check
}

// Run registers the gateway and sees to it that it stays registered, also when the agent starts again and has forgotten
// it, until ctx ends. Then it deregisters it, within the client's timeout, and returns what came of that. Other gateways
// drop it at their next answer, so ctx should end when draining begins.
func (r *Registrar) Run(ctx context.Context) error {
	var p pace
	for ctx.Err() == nil {
		wait := r.cfg.TTL / 3
		if err := r.tend(ctx); err != nil {
			wait, p = p.failed(200*time.Millisecond, wait)
		} else {
			p = pace{}
		}
		pause(ctx, wait)
	}
	return r.deregister(ctx)
}

// tend registers what is not registered and reports what is.
func (r *Registrar) tend(ctx context.Context) error {
	err := r.keep(ctx)
	var refused *refusal
	if errors.As(err, &refused) {
		r.registered = false // the agent answers, and knows neither the check nor the service
	}
	if !r.registered {
		err = r.register(ctx)
	}
	if ctx.Err() == nil {
		r.log(err)
	}
	return err
}

// keep asks for what only an agent with the registration grants.
func (r *Registrar) keep(ctx context.Context) error {
	if !r.registered {
		return nil
	}
	return r.cfg.Client.do(ctx, 0, func(ctx context.Context) error {
		q := (&api.QueryOptions{}).WithContext(ctx)
		if r.registration.Check.TTL != "" {
			return r.cfg.Client.api.Agent().UpdateTTLOpts(r.cfg.checkID(), "gateway serves", api.HealthPassing, q)
		}
		_, _, err := r.cfg.Client.api.Agent().Service(r.cfg.ID, q)
		return err
	})
}

func (r *Registrar) register(ctx context.Context) error {
	err := r.cfg.Client.do(ctx, 0, func(ctx context.Context) error {
		o := api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
		return r.cfg.Client.api.Agent().ServiceRegisterOpts(r.registration, o)
	})
	if r.registered = err == nil; err != nil {
		return fmt.Errorf("consul: register %q: %w", r.cfg.ID, err)
	}
	r.cfg.Logger.Info("gateway registered in consul", "service", r.cfg.ConsulService, "id", r.cfg.ID)
	return nil
}

// log tells of a failure once until it changes.
func (r *Registrar) log(err error) {
	said := ""
	if err != nil {
		said = err.Error()
	}
	if said != "" && said != r.complained {
		r.cfg.Logger.Warn("gateway is not kept registered in consul", "id", r.cfg.ID, "err", err)
	}
	r.complained = said
}

// deregister also runs when this process does not know of a registration: a request may have arrived whose answer did
// not. It does not ask the breaker, which may be open for a reason that has passed.
func (r *Registrar) deregister(ctx context.Context) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Client.cfg.Timeout)
	defer cancel()
	if r.replaced(limited) {
		r.cfg.Logger.Info("gateway stays in consul: another process of its name has registered", "id", r.cfg.ID)
		return nil
	}
	err := r.cfg.Client.api.Agent().ServiceDeregisterOpts(r.cfg.ID, (&api.QueryOptions{}).WithContext(limited))
	r.registered = false
	var status api.StatusError
	switch {
	case err == nil, errors.As(err, &status) && status.Code == 404:
		return nil
	default:
		return fmt.Errorf("consul: deregister %q: %w", r.cfg.ID, r.cfg.Client.plain(err))
	}
}

// replaced reports that the registration is one of another address: a process of the same name has taken the place of
// this one, which must not take it away again.
func (r *Registrar) replaced(ctx context.Context) bool {
	s, _, err := r.cfg.Client.api.Agent().Service(r.cfg.ID, (&api.QueryOptions{}).WithContext(ctx))
	return err == nil && s != nil && (s.Address != r.registration.Address || s.Port != r.registration.Port)
}
