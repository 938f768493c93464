package host

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	hashirunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

// maxHeaders bounds what a plugin sends before and after an answer, in bytes.
const maxHeaders = 16 << 10

// life is one process of a plugin, from its start to its end.
type life struct {
	cfg    Config
	dir    *folder
	log    *sink
	prints [2]*output // what it prints once it serves: Serve has put pipes in the place of its files
	run    *runner
	client *plugin.Client
	ask    plugins.Client            // of a split-brain strategy
	plans  plugins.ReplicationClient // of a replication strategy
	stores bool
	health grpc_health_v1.HealthClient
}

// begin starts a plugin and checks its health once. Whatever goes wrong, nothing of it is left.
func begin(ctx context.Context, cfg Config, launch func(func() error) error) (*life, error) {
	if err := cfg.verify(); err != nil {
		return nil, err
	}
	dir, err := newFolder(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Start)
	defer cancel()
	l := &life{cfg: cfg, dir: dir, log: newSink(cfg), run: newRunner(cfg, launch)}
	l.prints = [2]*output{{to: l.log}, {to: l.log}}
	l.client = plugin.NewClient(l.options())
	if err = l.connect(ctx); err == nil {
		err = hung(ctx, l)
	}
	if err == nil && l.plans != nil {
		err = l.configure(ctx)
	}
	if err != nil {
		err = l.startError(ctx, err)
		l.end()
		return nil, err
	}
	return l, nil
}

// options are go-plugin's.
func (l *life) options() *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig:  plugins.Handshake(),
		VersionedPlugins: l.cfg.sets,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     l.cfg.Start,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: l.dir.path},
		Logger:           l.log.logger(),
		SyncStdout:       l.prints[0],
		SyncStderr:       l.prints[1],
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(l.cfg.maxReply())),
			grpc.WithMaxHeaderListSize(maxHeaders),
			grpc.WithStreamInterceptor(withoutBroker),
		},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, _ string) (hashirunner.Runner, error) {
			l.run.use(spec.Env, l.dir.path)
			return l.run, nil
		},
	}
}

// withoutBroker keeps go-plugin's broker closed. Strategies have no use for it, and it remembers, for seconds, each
// of any number of messages that a plugin cares to send.
func withoutBroker(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if method == "/plugin.GRPCBroker/StartStream" {
		return nil, status.Error(codes.Unimplemented, "host: no broker")
	}
	return open(ctx, desc, conn, method, opts...)
}

// connect shakes hands. go-plugin may block in it for as long as the process lives, so it is given up by killing that.
func (l *life) connect(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- l.dial() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		l.run.kill()
		return errors.Join(ctx.Err(), <-done)
	}
}

func (l *life) dial() error {
	protocol, err := l.client.Client()
	if err != nil {
		return err
	}
	conn, ok := protocol.(*plugin.GRPCClient)
	if !ok {
		return errors.New("it does not speak gRPC")
	}
	raw, err := conn.Dispense(l.cfg.kind)
	if err != nil {
		return err
	}
	switch client := raw.(type) {
	case plugins.Client:
		l.ask = client
	case plugins.ReplicationClient:
		l.plans = client
	default:
		return fmt.Errorf("it serves %T", raw)
	}
	l.health = grpc_health_v1.NewHealthClient(conn.Conn)
	return nil
}

// startError says why a plugin did not start.
func (l *life) startError(ctx context.Context, err error) error {
	switch {
	case strings.Contains(err.Error(), "incompatible API version"): // go-plugin has no sentinel for it
		return fmt.Errorf("%w: %s", ErrVersion, strategies.Printable(err.Error()))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: it was not ready after %s", ErrStart, l.cfg.Start)
	case l.run.pid() == 0:
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	if _, line, ok := strings.Cut(err.Error(), "Unrecognized remote plugin message: "); ok {
		line, _, _ = strings.Cut(line, "\n")
		err = fmt.Errorf("its standard output begins with %q where go-plugin's handshake has to be: its main has to call plugins.Serve, and nothing may be printed there before", strategies.Printable(line))
	}
	if exit := l.run.exit(); exit != nil {
		return fmt.Errorf("%w: it ended (%w); %s", ErrStart, exit, strategies.Printable(err.Error()))
	}
	return fmt.Errorf("%w: %s", ErrStart, strategies.Printable(err.Error()))
}

// check asks for its health, within the time for that.
func (l *life) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Health)
	defer cancel()
	answer, err := l.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("health: %s", answer.GetStatus())
	}
	return nil
}

// decide asks for a rule and admits it, within the time for that.
func (l *life) decide(ctx context.Context, in strategies.Input) (strategies.Rule, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Decide)
	defer cancel()
	r, err := l.ask.Decide(ctx, in)
	if err != nil {
		return strategies.Rule{}, classify(ctx, err)
	}
	if r, err = strategies.Admit(in, r); err != nil {
		return strategies.Rule{}, fmt.Errorf("%w: %w", ErrInadmissible, err)
	}
	return r, nil
}

// version is the protocol version that both speak.
func (l *life) version() int { return l.client.NegotiatedVersion() }

// ended is closed when the process has ended.
func (l *life) ended() <-chan struct{} { return l.run.done }

// cause says how the process ended, once it has.
func (l *life) cause() error {
	if exit := l.run.exit(); exit != nil {
		return exit
	}
	return errors.New("it was killed")
}

// end kills the process with its group, lets go-plugin clean up, and removes the socket. The process first: go-plugin
// would ask a hung one to end, and wait.
func (l *life) end() {
	l.run.kill()
	l.client.Kill()
	l.prints[0].flush()
	l.prints[1].flush()
	l.dir.remove()
}
