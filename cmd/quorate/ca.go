package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/ca"
)

// newCACommand is quorate ca: the certificates by which gateways know each other.
func newCACommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Make the certificates by which gateways know each other",
		Long: "The gateways of a fleet speak to each other over mutual TLS. ca init makes the fleet's own authority,\n" +
			"ca issue a gateway's certificate and key. An authority of your own serves as well: a gateway's certificate\n" +
			"needs the URI name quorate://gateway/REGION/NAME and both key usages, serverAuth and clientAuth.",
	}
	cmd.AddCommand(newCAInitCommand(), newCAIssueCommand())
	return cmd
}

func newCAInitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the fleet's authority; one that is there is never replaced",
	}
	dir := cmd.Flags().String("dir", "ca", "`directory` of the authority, made if need be")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := ca.Init(*dir, ca.Options{}); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\nwrote %s: whoever has it can join the fleet; it need not be on any gateway\nnext: quorate ca issue REGION NAME --dir %s\n",
			filepath.Join(*dir, ca.CertFile), filepath.Join(*dir, ca.KeyFile), *dir)
		return nil
	}
	return cmd
}

func newCAIssueCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issue REGION NAME",
		Short: "Make a gateway's certificate and key, in place of older ones",
		Long: "Issue writes REGION-NAME.crt and REGION-NAME.key. REGION and NAME are region and name of the gateway's\n" +
			"configuration file. A running gateway reads the files again when they change: run it from cron, well\n" +
			"before the certificate expires.",
		Args: cobra.ExactArgs(2),
	}
	dir := cmd.Flags().String("dir", "ca", "`directory` of the authority")
	out := cmd.Flags().String("out", "", "`directory` for the files (default: the authority's)")
	life := cmd.Flags().Duration("ttl", ca.DefaultLife, "how `long` the certificate lives, 1m to 2160h")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := ca.Issue(*dir, args[0], args[1], ca.Options{Life: *life, Out: *out})
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "wrote %s: %s until %s\nwrote %s\n\npeer:\n  ca_file: %s\n  cert_file: %s\n  key_file: %s\n",
			f.Cert, f.URI, f.Expires.UTC().Format(time.RFC3339), f.Key, filepath.Join(*dir, ca.CertFile), f.Cert, f.Key)
		return nil
	}
	return cmd
}
