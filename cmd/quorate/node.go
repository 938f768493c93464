package main

import (
	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/mcpnode"
)

// newNodeCommand is quorate node: an MCP server to try the gateway on, as the demo, the kill test and
// the benches run it. It is hidden because it is no part of a deployment.
func newNodeCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "node",
		Short:              "Run an MCP server to try the gateway on",
		Hidden:             true,
		Args:               cobra.ArbitraryArgs,
		DisableFlagParsing: true, // mcpnode owns the flags, since test binaries run nodes too
		RunE: func(cmd *cobra.Command, args []string) error {
			return mcpnode.Command(cmd.Context(), args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}
