package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/atomicfile"
)

// snapshotPatience is how long to wait for a snapshot: longer than a gateway takes to give up.
const snapshotPatience = 3 * time.Minute

func (o *operator) snapshot() *cobra.Command {
	cmd := &cobra.Command{Use: "snapshot", Short: "Save or restore run-time settings and region orders"}
	cmd.AddCommand(o.saveSnapshot(), o.restoreSnapshot())
	return cmd
}

// saved is the answer of quorate admin snapshot save --json.
type saved struct {
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
}

func (o *operator) saveSnapshot() *cobra.Command {
	return &cobra.Command{
		Use:   "save FILE",
		Short: "Save run-time settings and region orders; a file that is there is replaced when all of it has arrived",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			snapshot, err := o.ask(cmd, request{method: http.MethodGet, path: "/v1/cluster/snapshot", patience: snapshotPatience})
			if err != nil {
				return err
			}
			if err := atomicfile.Write(args[0], snapshot); err != nil {
				return fmt.Errorf("save: %w", err)
			}
			answer, err := json.Marshal(saved{args[0], len(snapshot)})
			if err != nil {
				return err
			}
			return o.print(cmd, append(answer, '\n'), func(w io.Writer, _ []byte) error {
				_, err := fmt.Fprintf(w, "saved %d bytes to %s\n", len(snapshot), args[0])
				return err
			})
		},
	}
}

func (o *operator) restoreSnapshot() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Replace run-time settings and region orders by saved ones, on every gateway",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			snapshot, err := atomicfile.Read(args[0], admin.MaxSnapshot)
			if err != nil {
				return fmt.Errorf("restore %s: %w", args[0], err)
			}
			answer, err := o.ask(cmd, request{method: http.MethodPut, path: "/v1/cluster/snapshot", body: snapshot,
				kind: "application/octet-stream", patience: snapshotPatience})
			if err != nil {
				return err
			}
			return o.print(cmd, answer, printCluster)
		},
	}
}
