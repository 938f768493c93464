package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/admin"
)

// exitUnreachable is the exit code when no gateway answers.
const exitUnreachable = 3

// newAdminCommand is quorate admin: what an operator asks and orders of a running gateway.
func newAdminCommand() *cobra.Command {
	o := &operator{}
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "Look at a running gateway's regions and nodes, and move traffic",
		Long: "Admin talks to the admin listener of one gateway. Orders reach every gateway of the fleet and outlive\n" +
			"restarts. It exits with 0, with 1 when the gateway refuses, with 2 for a bad command line and with 3 when\n" +
			"no gateway answers.",
	}
	f := cmd.PersistentFlags()
	f.StringVar(&o.address, "address", cmp.Or(os.Getenv("QUORATE_ADMIN_ADDRESS"), "127.0.0.1:9090"), "`HOST:PORT` or URL of the admin listener (or set QUORATE_ADMIN_ADDRESS, as for serve)")
	f.StringVar(&o.tokenFile, "token-file", "", "`file` with the bearer token")
	f.StringVar(&o.caFile, "ca-file", "", "PEM `file` of authorities for the listener's certificate; makes the address https")
	f.StringVar(&o.certFile, "cert", "", "PEM `file` of a client certificate")
	f.StringVar(&o.keyFile, "key", "", "PEM `file` of its key")
	f.BoolVar(&o.json, "json", false, "print the answer as JSON")
	f.DurationVar(&o.timeout, "timeout", 5*time.Second, "how `long` to wait for the gateway")
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

// operator is who asks.
type operator struct {
	address, tokenFile        string
	caFile, certFile, keyFile string
	json                      bool
	timeout                   time.Duration
}

func (o *operator) show(name, short, path string, printed func(io.Writer, []byte) error) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		body, err := o.ask(cmd, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		if o.json {
			_, err = cmd.OutOrStdout().Write(body)
			return err
		}
		return printed(cmd.OutOrStdout(), body)
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
		answer, err := o.ask(cmd, http.MethodPut, "/v1/regions/"+url.PathEscape(args[0])+"/order", body)
		if err != nil {
			return err
		}
		if o.json {
			_, err = cmd.OutOrStdout().Write(answer)
			return err
		}
		var r admin.Region
		if err := json.Unmarshal(answer, &r); err != nil {
			return fmt.Errorf("the answer is not understood: %w", err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s (%s), share %.0f %%\n", r.Name, r.State, r.Cause, 100*r.Share)
		return nil
	}
	return cmd
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// ask makes one request; what goes wrong is printed, with the exit code as error.
func (o *operator) ask(cmd *cobra.Command, method, path string, body []byte) ([]byte, error) {
	client, base, err := o.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("--address %q is not HOST:PORT or a URL", o.address)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if err := o.identify(r); err != nil {
		return nil, err
	}
	resp, err := client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "quorate: no gateway answers at %s: %v\n", base, err)
		return nil, exitCode(exitUnreachable)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "quorate: the gateway's answer broke off: %v\n", err)
		return nil, exitCode(exitUnreachable)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the gateway refuses: %s", why(resp, answer))
	}
	return answer, nil
}

// why is a refusal's own message, or its status.
func why(resp *http.Response, answer []byte) string {
	var e struct{ Error struct{ Message string } }
	if json.Unmarshal(answer, &e) == nil && e.Error.Message != "" {
		return e.Error.Message
	}
	return resp.Status
}

func (o *operator) identify(r *http.Request) error {
	if o.tokenFile == "" {
		return nil
	}
	token, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return nil
}

func (o *operator) client() (*http.Client, string, error) {
	base := o.address
	if !strings.Contains(base, "://") {
		base = "http://" + base
		if o.caFile != "" || o.certFile != "" {
			base = "https://" + o.address
		}
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.caFile != "" {
		data, err := os.ReadFile(o.caFile)
		if err != nil {
			return nil, "", err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(data) {
			return nil, "", fmt.Errorf("%s holds no PEM certificate", o.caFile)
		}
	}
	if o.certFile != "" {
		pair, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
		if err != nil {
			return nil, "", err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	t := &http.Transport{TLSClientConfig: c, DialContext: (&net.Dialer{}).DialContext, DisableKeepAlives: true}
	return &http.Client{Transport: t}, strings.TrimSuffix(base, "/"), nil
}

func printRegions(w io.Writer, body []byte) error {
	var all admin.Regions
	if err := json.Unmarshal(body, &all); err != nil {
		return fmt.Errorf("the answer is not understood: %w", err)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REGION\tSTATE\tSHARE\tCLASS\tRTT\tIN FLIGHT\tSINCE\tCAUSE")
	for _, r := range all.Regions {
		name, rtt := r.Name, fmt.Sprintf("%.1f ms", r.RTTMS)
		if r.Local {
			name, rtt = r.Name+" (here)", "-"
		} else if !r.Measured {
			rtt += " (seed)"
		}
		fmt.Fprintf(t, "%s\t%s\t%.0f %%\t%s\t%s\t%d\t%s\t%s\n", name, r.State, 100*r.Share, r.Class, rtt, r.InFlight, moment(r.Since), r.Cause)
	}
	return t.Flush()
}

func printNodes(w io.Writer, body []byte) error {
	var all admin.Nodes
	if err := json.Unmarshal(body, &all); err != nil {
		return fmt.Errorf("the answer is not understood: %w", err)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tREGION\tNODE\tSTATE\tERA\tLATENCY\tIN FLIGHT\tBREAKER\tGROUPS\tURL")
	for _, n := range all.Nodes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1f ms\t%d\t%s\t%s\t%s\n", n.Service, n.Region, n.ID, n.State, n.Era, n.LatencyMS, n.InFlight, n.Breaker, strings.Join(n.Groups, ","), n.URL)
	}
	return t.Flush()
}

func moment(t admin.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
