package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/bench/proxy"
)

// newUpstreamCommand is the bench's own MCP server process.
func newUpstreamCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "upstream",
		Short:  "The upstream process of the proxy bench",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), cmd.OutOrStdout(), proxy.NewUpstream())
		},
	}
}

// newReverseProxyCommand is the baseline's process.
func newReverseProxyCommand() *cobra.Command {
	var upstream string
	var connections int
	cmd := &cobra.Command{
		Use:    "reverseproxy",
		Short:  "The bare httputil.ReverseProxy of the proxy bench",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			u, err := url.Parse(upstream)
			if err != nil {
				return fmt.Errorf("reverseproxy: %w", err)
			}
			return serve(cmd.Context(), cmd.OutOrStdout(), proxy.NewReverseProxy(u, connections))
		},
	}
	cmd.Flags().StringVar(&upstream, "upstream", "", "the upstream's URL")
	cmd.Flags().IntVar(&connections, "connections", 32, "connections of the load")
	return cmd
}

// serve serves on a free port until ctx ends, and says where.
func serve(ctx context.Context, out io.Writer, h http.Handler) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	srv := &http.Server{Handler: h}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := proxy.Announce(out, ln.Addr()); err != nil {
		return err
	}
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
