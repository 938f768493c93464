// Package badplugin is split-brain strategies that break their contract, each in the way that its kind says, for the
// test binaries of those who run strategies. It must not know who runs them, nor what becomes of it.
package badplugin

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/quorate/quorate/plugins"
	strategyv1 "github.com/quorate/quorate/plugins/v1"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// Serve serves a strategy of the kind: "version 99" speaks only a version that nobody else does, "1 GiB" answers with
// more than anybody reads, others decide as Decide does.
func Serve(kind string) {
	switch kind {
	case "version 99":
		plugins.ServeSets(map[int]plugin.PluginSet{99: plugins.Sets(winnertakesall.Rule)[1]})
	case "1 GiB":
		plugin.Serve(&plugin.ServeConfig{
			HandshakeConfig:  plugins.Handshake(),
			VersionedPlugins: plugins.Sets(winnertakesall.Rule),
			GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
				return grpc.NewServer(append(opts, grpc.ForceServerCodecV2(gigabyte{encoding.GetCodecV2(grpcproto.Name)}))...)
			},
		})
	default:
		plugins.Serve(func(in strategies.Input) (strategies.Rule, error) { return Decide(kind, in) })
	}
}

// Decide decides for at least two voters as the kind says. "good" is winner_takes_all; another kind than those here is an
// error.
func Decide(kind string, in strategies.Input) (strategies.Rule, error) {
	voters := in.Roster.Voters()
	first, second := strategies.One(voters[0].Name), strategies.One(voters[1].Name)
	switch kind {
	case "good":
		return winnertakesall.Rule(in)
	case "two sides": // both of which may write
		return strategies.AtLeast(1, first, second), nil
	case "strangers": // have most of the votes
		return strategies.MajorityOf(first, strategies.One("mallory"), strategies.One("eve")), nil
	case "nonsense":
		return strategies.Rule{Need: -1}, nil
	case "hangs":
		select {}
	case "crashes":
		os.Exit(7)
	}
	return strategies.Rule{}, fmt.Errorf("badplugin: no strategy is %q", kind)
}

// gigabyte answers decisions with 2^30 bytes and everything else as usual.
type gigabyte struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (g gigabyte) Marshal(v any) (mem.BufferSlice, error) {
	if _, ok := v.(*strategyv1.DecideResponse); !ok {
		return g.CodecV2.Marshal(v)
	}
	block := make([]byte, 1<<20)
	var out mem.BufferSlice
	for range 1 << 10 {
		out = append(out, mem.SliceBuffer(block))
	}
	return out, nil
}
