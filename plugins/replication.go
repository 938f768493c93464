package plugins

import (
	"context"
	"errors"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	strategyv1 "github.com/quorate/quorate/plugins/v1"
	"github.com/quorate/quorate/strategies"
)

// Replication is the name under which a plugin serves a replication strategy.
const Replication = "replication"

// ServeReplication serves a replication strategy, and with it what else it can do: strategies.Configured and
// strategies.Store. It serves until the gateway ends the process, and exits at once, saying so, when the program was not
// started by a gateway.
func ServeReplication(r strategies.Replication) { ServeSets(ReplicationSets(r)) }

// ReplicationSets is Sets for a replication strategy; r is nil at the host.
func ReplicationSets(r strategies.Replication) map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{1: {Replication: &replication1{strategy: r}}}
}

// ReplicationClient asks a replication strategy, whatever protocol version it speaks. Its answers are valid, but for the
// errors of strategies: they wrap strategies.ErrRefused, ErrUnavailable or ErrFull, else they are gRPC statuses or say
// what is wrong with the answer. What is asked must be valid and within the limits of one call.
type ReplicationClient interface {
	strategies.Store
	// Configure reports whether the strategy is a store; where it is none, the methods of a store fail.
	Configure(context.Context, strategies.Settings) (stores bool, err error)
}

// replication1 is protocol version 1 at both ends.
type replication1 struct {
	plugin.NetRPCUnsupportedPlugin
	strategyv1.UnimplementedReplicationServer
	strategy strategies.Replication
}

// GRPCServer implements plugin.GRPCPlugin.
func (r *replication1) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	strategyv1.RegisterReplicationServer(s, r)
	if store, ok := r.strategy.(strategies.Store); ok {
		strategyv1.RegisterStoreServer(s, &store1{store: store})
	}
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (r *replication1) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return replicationClient1{strategyv1.NewReplicationClient(conn), storeClient1{strategyv1.NewStoreClient(conn)}}, nil
}

// Configure answers the host.
func (r *replication1) Configure(ctx context.Context, request *strategyv1.ConfigureRequest) (*strategyv1.ConfigureResponse, error) {
	told, err := request.Told()
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if c, ok := r.strategy.(strategies.Configured); ok {
		if err := c.Configure(ctx, told); err != nil {
			return nil, statusOf(err)
		}
	} else if told.JSON != "" {
		return nil, status.Error(codes.InvalidArgument, "this strategy has no settings; leave them out")
	}
	_, stores := r.strategy.(strategies.Store)
	return &strategyv1.ConfigureResponse{Stores: stores}, nil
}

// Plan answers the host.
func (r *replication1) Plan(ctx context.Context, request *strategyv1.PlanRequest) (*strategyv1.PlanResponse, error) {
	in, err := request.Input()
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	plan, err := r.strategy.Plan(ctx, in)
	if err != nil {
		return nil, statusOf(err)
	}
	return strategyv1.FromPlan(plan), nil
}

// statusOf is the error of a strategy as it goes over the wire.
func statusOf(err error) error {
	for _, known := range []struct {
		is error
		as codes.Code
	}{
		{strategies.ErrRefused, codes.FailedPrecondition},
		{strategies.ErrUnavailable, codes.Unavailable},
		{strategies.ErrFull, codes.ResourceExhausted},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled},
	} {
		if errors.Is(err, known.is) {
			return status.Error(known.as, err.Error())
		}
	}
	return status.Error(codes.Internal, err.Error())
}

// ofStatus is the error of a strategy, from the wire.
func ofStatus(err error) error {
	if status.Code(err) == codes.FailedPrecondition {
		return strategies.Refusal(status.Convert(err).Message())
	}
	return err
}

// replicationClient1 asks in protocol version 1.
type replicationClient1 struct {
	rpc strategyv1.ReplicationClient
	storeClient1
}

// Configure implements ReplicationClient.
func (c replicationClient1) Configure(ctx context.Context, s strategies.Settings) (bool, error) {
	answer, err := c.rpc.Configure(ctx, strategyv1.FromSettings(s))
	if status.Code(err) == codes.InvalidArgument {
		return false, strategies.Refusal(status.Convert(err).Message())
	}
	if err != nil {
		return false, ofStatus(err)
	}
	return answer.GetStores(), nil
}

// Plan implements ReplicationClient.
func (c replicationClient1) Plan(ctx context.Context, in strategies.PlanInput) (strategies.Plan, error) {
	answer, err := c.rpc.Plan(ctx, strategyv1.FromPlanInput(in))
	if err != nil {
		return strategies.Plan{}, ofStatus(err)
	}
	return answer.Valid()
}
