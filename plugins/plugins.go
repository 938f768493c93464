// Package plugins is what the author of a strategy imports: Serve makes a program of a decision function, and
// ServeReplication of a replication strategy, one that the gateway starts, asks and ends. It must not know the host, which is at the other end, nor anything of the gateway.
//
//	func main() { plugins.Serve(decide) }
//
//	func decide(in strategies.Input) (strategies.Rule, error) {
//		return strategies.Single(in.Roster.Voters()[0].Name), nil
//	}
//
// What a strategy writes to standard error goes to the gateway's log; its standard output belongs to the handshake.
// It is started with an empty environment, and ended without notice by SIGKILL: it should keep nothing.
package plugins

import (
	"context"
	"errors"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	strategyv1 "github.com/quorate/quorate/plugins/v1"
	"github.com/quorate/quorate/strategies"
)

// SplitBrain is the name under which a plugin serves a split-brain strategy.
const SplitBrain = "split_brain"

// maxRequest bounds what a plugin is asked, in bytes: a batch of records is the most.
const maxRequest = 4 << 20

// Handshake is how plugin and gateway know each other for what they are. It is no secret and proves nothing: that the
// two ends belong together is what mutual TLS is for.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{MagicCookieKey: "QUORATE_PLUGIN", MagicCookieValue: "6b1d6f0a-9a5e-4a0e-8a2f-quorum"}
}

// Sets are the protocol versions that are spoken, each with what serves and calls it. Whoever speaks version N+1 speaks
// N too, so that either end may be upgraded first; the newest that both speak is taken. decide is nil at the host.
func Sets(decide strategies.Func) map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{1: {SplitBrain: &version1{decide: decide}}}
}

// Serve serves the strategy until the gateway ends the process. It exits at once, saying so, when the program was not
// started by a gateway. decide may be called concurrently, and has 50 ms.
func Serve(decide strategies.Func) { ServeSets(Sets(decide)) }

// ServeSets is Serve for a choice of protocol versions.
func ServeSets(sets map[int]plugin.PluginSet) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  Handshake(),
		VersionedPlugins: sets,
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxRequest))...)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr, JSONFormat: true}),
	})
}

// Client asks a strategy, whatever protocol version it speaks.
type Client interface {
	// Decide returns the strategy's rule, valid in its structure but not proven. The error wraps
	// strategies.ErrRefused where the strategy has no rule, else it is a gRPC status or says what is wrong with
	// the answer.
	Decide(context.Context, strategies.Input) (strategies.Rule, error)
}

// version1 is protocol version 1 at both ends.
type version1 struct {
	plugin.NetRPCUnsupportedPlugin
	strategyv1.UnimplementedSplitBrainServer
	decide strategies.Func
}

// GRPCServer implements plugin.GRPCPlugin.
func (v *version1) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	strategyv1.RegisterSplitBrainServer(s, v)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (v *version1) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return client1{strategyv1.NewSplitBrainClient(conn)}, nil
}

// Decide answers the host.
func (v *version1) Decide(_ context.Context, request *strategyv1.DecideRequest) (*strategyv1.DecideResponse, error) {
	in, err := request.Input()
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	r, err := v.decide(in)
	switch {
	case errors.Is(err, strategies.ErrRefused):
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	case err != nil:
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &strategyv1.DecideResponse{Rule: strategyv1.FromRule(r)}, nil
}

// client1 asks in protocol version 1.
type client1 struct{ rpc strategyv1.SplitBrainClient }

// Decide implements Client.
func (c client1) Decide(ctx context.Context, in strategies.Input) (strategies.Rule, error) {
	answer, err := c.rpc.Decide(ctx, strategyv1.FromInput(in))
	if status.Code(err) == codes.FailedPrecondition {
		return strategies.Rule{}, strategies.Refusal(status.Convert(err).Message())
	}
	if err != nil {
		return strategies.Rule{}, err
	}
	return answer.Valid()
}
