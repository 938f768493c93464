package plugintest

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

// RunReplication runs the suite in an author's own test, on what the author's main gives to plugins.ServeReplication:
// made anew for each process there would be, and told the settings. It asks over the wire but starts no process; quorate
// strategy check --replication does. What made returns is closed where it has a method Close.
func RunReplication(t T, made func() strategies.Replication, settings string, options map[string]string) {
	t.Helper()
	report := CheckReplication(context.Background(), ReplicationConfig{Start: OverTheWire(made, settings), Options: options})
	for _, p := range report.Points {
		for _, problem := range p.Problems {
			t.Errorf("%s: %s", p.Name, problem)
		}
		if len(p.Problems) == 0 {
			t.Logf("%s: %s, in %s", p.Name, p.Says, p.Took)
		}
	}
	for _, problem := range report.Problems {
		t.Errorf("%s", problem)
	}
}

// OverTheWire starts a replication strategy behind a connection in memory, without a process.
func OverTheWire(made func() strategies.Replication, settings string) func(context.Context) (strategies.Replication, func(), error) {
	return func(ctx context.Context) (strategies.Replication, func(), error) {
		r := made()
		served, ok := plugins.ReplicationSets(r)[1][plugins.Replication].(plugin.GRPCPlugin)
		if !ok {
			return nil, nil, fmt.Errorf("plugintest: %T is not served over gRPC", r)
		}
		client, end, err := connect(ctx, served)
		if err != nil {
			return nil, nil, err
		}
		over := func() {
			end()
			if c, ok := r.(interface{ Close() error }); ok {
				_ = c.Close() // a process would be killed
			}
		}
		stores, err := client.Configure(ctx, Told(settings))
		if err != nil {
			over()
			return nil, nil, err
		}
		return As(client, stores), over, nil
	}
}

// Told is what the suite tells a strategy, with these settings as JSON.
func Told(settings string) strategies.Settings {
	return strategies.Settings{Gateway: "gw-1", Region: "region-1", JSON: settings}
}

// As is the client of a strategy as what the strategy is: a store or none.
func As(client plugins.ReplicationClient, stores bool) strategies.Replication {
	if stores {
		return client
	}
	return struct{ strategies.Replication }{client}
}

// connect serves a plugin in memory and returns what calls it.
func connect(ctx context.Context, served plugin.GRPCPlugin) (plugins.ReplicationClient, func(), error) {
	const size = 5 << 20
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(size))
	if err := served.GRPCServer(nil, server); err != nil {
		return nil, nil, err
	}
	go func() { _ = server.Serve(listener) }() // it ends with Stop
	conn, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(size)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		server.Stop()
		return nil, nil, err
	}
	end := func() {
		_ = conn.Close()
		server.Stop()
	}
	raw, err := served.GRPCClient(ctx, nil, conn)
	client, ok := raw.(plugins.ReplicationClient)
	if !ok {
		end()
		return nil, nil, errors.Join(errors.New("plugintest: no client of a replication strategy"), err)
	}
	return client, end, nil
}
