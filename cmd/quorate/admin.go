package main

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// newAdminCommand is quorate admin: what an operator asks and orders of a running gateway.
func newAdminCommand() *cobra.Command {
	o := &operator{}
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "Look at a running gateway's cluster, regions and nodes, and give orders",
		Long: "Admin talks to the admin listener of one gateway. Orders reach every gateway of the fleet and outlive\n" +
			"restarts. It exits with 0, with 1 when something failed or the gateway refuses what is asked, with 2 for a bad\n" +
			"command line, and with 3 when it cannot be done now: no gateway answers, or the fleet's state forbids it (a\n" +
			"minority, no quorum, no region left).",
	}
	f := cmd.PersistentFlags()
	f.StringVar(&o.address, "address", cmp.Or(os.Getenv("QUORATE_ADMIN_ADDRESS"), "127.0.0.1:9090"), "`HOST:PORT` or URL of the admin listener (or set QUORATE_ADMIN_ADDRESS, as for serve)")
	f.StringVar(&o.tokenFile, "token-file", "", "`file` with the bearer token")
	f.StringVar(&o.caFile, "ca-file", "", "PEM `file` of authorities for the listener's certificate; makes the address https")
	f.StringVar(&o.certFile, "cert", "", "PEM `file` of a client certificate")
	f.StringVar(&o.keyFile, "key", "", "PEM `file` of its key")
	f.BoolVar(&o.json, "json", false, "print the answer as JSON")
	f.DurationVar(&o.timeout, "timeout", 5*time.Second, "how `long` to wait for the gateway")
	cmd.AddCommand(o.cluster()...)
	cmd.AddCommand(
		o.show("regions", "Show the regions as the gateway sees them, and why", "/v1/regions", printRegions),
		o.show("nodes", "Show the nodes of all services and regions", "/v1/nodes", printNodes),
		o.order("drain REGION", "draining", "Shift a region's traffic away; it may serve what nobody else can"),
		o.order("evacuate REGION", "draining", "The same over a time of your choice: --over 5m"),
		o.order("off REGION", "off", "Shift a region's traffic away and send nothing there any more"),
		o.order("undrain REGION", "on", "Give a region back to automation; its traffic returns over the ramp"),
	)
	return cmd
}

func (o *operator) show(name, short, path string, printed func(io.Writer, []byte) error) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		body, err := o.ask(cmd, request{method: http.MethodGet, path: path})
		if err != nil {
			return err
		}
		return o.print(cmd, body, printed)
	}
	return cmd
}

func (o *operator) order(use, state, short string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1)}
	over := new(time.Duration)
	if state != "on" {
		cmd.Flags().DurationVar(over, "over", 0, "shift the traffic away over this `time`, up to 24h")
	}
	if strings.HasPrefix(use, "evacuate") {
		if err := cmd.MarkFlagRequired("over"); err != nil {
			panic(err) // the flag was defined above
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := json.Marshal(map[string]string{"state": state, "over": over.String()})
		if err != nil {
			return err
		}
		answer, err := o.ask(cmd, request{method: http.MethodPut, path: "/v1/regions/" + url.PathEscape(args[0]) + "/order", body: body})
		if err != nil {
			return err
		}
		return o.print(cmd, answer, printRegion)
	}
	return cmd
}
