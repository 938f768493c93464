package authority_test

import (
	"fmt"
	"os"
	"strings"

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

// pluginWord makes this test binary a strategy; the argument after it is the file that says how it behaves.
const pluginWord = "plugin"

// behave is a strategy in the mood that the file tells when it starts.
func behave(file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	switch mood := strings.TrimSpace(string(b)); mood {
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
		plugins.Serve(func(in strategies.Input) (strategies.Rule, error) { return decide(mood, in) })
	}
}

func decide(mood string, in strategies.Input) (strategies.Rule, error) {
	voters := in.Roster.Voters()
	first, second := strategies.One(voters[0].Name), strategies.One(voters[1].Name)
	switch mood {
	case "good":
		return winnertakesall.Rule(in)
	case "first":
		return strategies.AtLeast(1, first), nil
	case "two sides":
		return strategies.AtLeast(1, first, second), nil
	case "strangers":
		return strategies.MajorityOf(first, strategies.One("mallory"), strategies.One("eve")), nil
	case "nonsense":
		return strategies.Rule{Need: -1}, nil
	case "hangs":
		select {}
	case "crashes":
		os.Exit(7)
	}
	return strategies.Rule{}, fmt.Errorf("unknown mood %q", mood)
}

// gigabyte answers decisions with 2^30 bytes and everything else as usual.
type gigabyte struct{ encoding.CodecV2 }

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
