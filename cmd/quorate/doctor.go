package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/doctor"
)

// newDoctorCommand is quorate doctor: everything that a configuration names is asked once.
func newDoctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "doctor --config FILE [--json] [--timeout 10s]",
		DisableFlagsInUseLine: true,
		Short:                 "Ask every resolver, Consul, node and peer of a configuration, and say what to do",
		Long: "Doctor reads the file and the QUORATE_* environment as serve does, asks each resolver, Consul, each node and\n" +
			"each peer gateway once, and prints a table: STATUS  WHAT  ASKED  GOT  DO. It changes nothing anywhere, and can\n" +
			"run beside a gateway. It exits with 0 when all is good, 1 with warnings and 2 with failures.",
	}
	path := addConfigFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one JSON document")
	timeout := cmd.Flags().Duration("timeout", doctor.DefaultTimeout, "how `long` all of it may take")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *timeout < doctor.MinTimeout || *timeout > doctor.MaxTimeout {
			return fmt.Errorf("--timeout %s is outside %s..%s", *timeout, doctor.MinTimeout, doctor.MaxTimeout)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		released, _ := build()
		report, err := doctor.Run(cmd.Context(), doctor.Options{Path: *path, Environ: os.Environ(), Version: released, Timeout: *timeout})
		if err != nil {
			return err
		}
		print := printChecks
		if *asJSON {
			print = printReport
		}
		if err := print(cmd.OutOrStdout(), report); err != nil {
			return err
		}
		return verdict(report.Status)
	}
	return cmd
}

// verdict is the exit code of a doctor's status.
func verdict(s doctor.Status) error {
	switch s {
	case doctor.OK:
		return nil
	case doctor.Warn:
		return exitCode(exitFailure)
	default:
		return exitCode(exitUsage)
	}
}

func printReport(w io.Writer, r doctor.Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// printChecks writes the table. Cells hold no runs of spaces, so that two of them always separate columns.
func printChecks(w io.Writer, r doctor.Report) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STATUS\tWHAT\tASKED\tGOT\tDO")
	for _, c := range r.Checks {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Status, c.What, c.Asked, c.Got, c.Do)
	}
	return table.Flush()
}
