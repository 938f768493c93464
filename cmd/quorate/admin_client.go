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
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/admin"
)

// exitNotNow is the exit code when it cannot be done now: no gateway answers, or the fleet's state forbids it.
const exitNotNow = 3

// operator is who asks.
type operator struct {
	address, tokenFile        string
	caFile, certFile, keyFile string
	json                      bool
	timeout                   time.Duration
}

// maxAnswer bounds an answer, in bytes. The largest is a snapshot.
const maxAnswer = admin.MaxSnapshot

// request is one request to the admin listener.
type request struct {
	method, path string
	body         []byte
	kind         string        // Content-Type of the body; "": JSON
	patience     time.Duration // how long to wait unless --timeout says so; 0: its default
}

// refusal is an answer that is no success.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return "the gateway refuses: " + r.message }

// exitCode is what the command ends with. What the fleet's state forbids is told from what was asked wrongly, since
// the former may be tried again.
func (r *refusal) exitCode() int {
	switch r.status {
	case http.StatusConflict, http.StatusServiceUnavailable:
		return exitNotNow
	}
	return exitFailure
}

// ask makes one request and returns the answer's body. A *refusal is an answer that is no success; that there is no
// answer is printed, with the exit code as error.
func (o *operator) ask(cmd *cobra.Command, q request) ([]byte, error) {
	client, base, err := o.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.patience(cmd, q))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, q.method, base+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, fmt.Errorf("--address %q is not HOST:PORT or a URL", o.address)
	}
	if q.body != nil {
		r.Header.Set("Content-Type", cmp.Or(q.kind, "application/json"))
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
		fmt.Fprintf(cmd.ErrOrStderr(), "quorate: no gateway answers at %s: %v%s\n", base, err, q.doubt(err))
		return nil, exitCode(exitNotNow)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("it has more than %d bytes", maxAnswer)
	}
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "quorate: the gateway's answer broke off: %v%s\n", err, q.doubt(err))
		return nil, exitCode(exitNotNow)
	}
	if resp.StatusCode/100 != 2 {
		return nil, &refusal{resp.StatusCode, why(resp, answer)}
	}
	return answer, nil
}

// doubt says that an order without an answer may have been carried out. One that could not even be sent was not.
func (q request) doubt(err error) string {
	var dial *net.OpError
	if q.method == http.MethodGet || errors.As(err, &dial) && dial.Op == "dial" {
		return ""
	}
	return "; the order may have been carried out all the same: look before you repeat it"
}

// patience is --timeout where it was given, else what the request wants.
func (o *operator) patience(cmd *cobra.Command, q request) time.Duration {
	if cmd.Flags().Changed("timeout") {
		return o.timeout
	}
	return max(o.timeout, q.patience)
}

// print writes an answer for people, or with --json as it came.
func (o *operator) print(cmd *cobra.Command, answer []byte, printed func(io.Writer, []byte) error) error {
	if o.json {
		_, err := cmd.OutOrStdout().Write(answer)
		return err
	}
	return printed(cmd.OutOrStdout(), answer)
}

// why is a refusal's own message, or its status with what may be the matter: then no admin listener has spoken.
func why(resp *http.Response, answer []byte) string {
	var e struct {
		JSONRPC string // of the listener for agents
		Error   struct{ Message string }
	}
	switch {
	case json.Unmarshal(answer, &e) == nil && e.Error.Message != "" && resp.StatusCode == http.StatusUnauthorized:
		return e.Error.Message + ": --token-file, or --cert and --key"
	case json.Unmarshal(answer, &e) == nil && e.Error.Message != "" && e.JSONRPC == "":
		return e.Error.Message
	case bytes.Contains(answer, []byte("HTTP request to an HTTPS server")):
		return resp.Status + ": this listener speaks HTTPS: --ca-file, or https:// in --address"
	}
	return resp.Status + ": is this the address of an admin listener?"
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
