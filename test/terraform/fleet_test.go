package terraform_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// formed bounds how long a fleet may take until it writes, on a busy machine.
const formed = 40 * time.Second

// token is what the admin listeners want. No state may ever hold it.
const token = "s3cret-of-the-operators"

// fleet is gateways, each in a region of its own, and the node that they share.
type fleet struct {
	t        *testing.T
	group    *child.Group
	dir      string
	node     string // URL of an MCP server
	gateways []*gateway
	mutual   *mutual // how the admin listeners are secured; nil: they want the token
}

// gateway is one place, through all its lives.
type gateway struct {
	f                   *fleet
	name, region        string
	listen, admin, peer string
	process             *child.Process
	log                 *child.Tail
	late                bool // joins, and is not expected
}

// three are gateways in us, eu and ap that expect each other and may write. Their files say nothing of the regions.
func three(t *testing.T) *fleet {
	t.Helper()
	return form(t, nil)
}

func form(t *testing.T, m *mutual) *fleet {
	t.Helper()
	needsTerraform(t)
	f := &fleet{t: t, group: child.NewGroup(), dir: t.TempDir(), mutual: m}
	t.Cleanup(f.group.Close)
	if err := ca.Init(f.dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "token"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.node = f.addNode("n1")
	for i, region := range []string{"us", "eu", "ap"} {
		f.add(fmt.Sprintf("gw-%d", i+1), region)
	}
	began := make(chan error, len(f.gateways))
	for _, g := range f.gateways {
		go func() { began <- g.start() }()
	}
	var problems []error
	for range f.gateways {
		problems = append(problems, <-began)
	}
	if err := errors.Join(problems...); err != nil {
		t.Fatal(err)
	}
	f.writable(f.gateways...)
	return f
}

// addNode starts an MCP server and returns its URL.
func (f *fleet) addNode(name string) string {
	f.t.Helper()
	address := f.port()
	spec := child.Spec{Path: binary, Args: []string{"node", "-name", name, "-listen", address, "-json"}, Ready: child.Stdout, ReadyMsg: mcpnode.ReadyMsg}
	if _, _, err := f.group.Start(context.WithoutCancel(f.t.Context()), spec); err != nil {
		f.t.Fatal(err)
	}
	return "http://" + address + mcpnode.Path
}

func (f *fleet) port() string {
	f.t.Helper()
	address, mark, err := pool.Reserve()
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = mark.Close() })
	return address
}

func (f *fleet) add(name, region string) *gateway {
	f.t.Helper()
	if _, err := ca.Issue(f.dir, region, name, ca.Options{}); err != nil {
		f.t.Fatal(err)
	}
	g := &gateway{f: f, name: name, region: region, listen: f.port(), admin: f.port(), peer: f.port(), log: new(child.Tail)}
	f.gateways = append(f.gateways, g)
	f.t.Cleanup(func() {
		if f.t.Failed() {
			f.t.Logf("the last of %s:\n%s", name, g.log)
		}
	})
	return g
}

func (f *fleet) writable(all ...*gateway) {
	f.t.Helper()
	for _, g := range all {
		f.await(g.name+" may write", func() bool { code, _ := g.ask(http.MethodGet, "/writez", ""); return code == http.StatusOK })
	}
}

// await polls for what only another process knows.
func (f *fleet) await(what string, ok func() bool) {
	f.t.Helper()
	tick, end := time.NewTicker(20*time.Millisecond), time.NewTimer(formed)
	defer tick.Stop()
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			f.t.Fatalf("not within %s: %s", formed, what)
		}
	}
}

func (g *gateway) document() string {
	var b strings.Builder
	enter := "token_file: token"
	if m := g.f.mutual; m != nil {
		enter = fmt.Sprintf("tls: {cert_file: %q, key_file: %q, client_ca_file: %q}", m.cert, m.key, m.operators)
	}
	fmt.Fprintf(&b, "name: %s\nregion: %s\ndata_dir: %s\nadmin: {address: %q, %s}\nlisten: {address: %q}\n", g.name, g.region, filepath.Join(g.f.dir, "data-"+g.name), g.admin, enter, g.listen)
	fmt.Fprintf(&b, "peer: {address: %q, ca_file: ca.crt, cert_file: %s-%s.crt, key_file: %s-%s.key}\n", g.peer, g.region, g.name, g.region, g.name)
	var join, expect []string
	for _, o := range g.f.gateways {
		if o != g {
			join = append(join, fmt.Sprintf("%q", o.peer))
		}
		if !o.late {
			expect = append(expect, o.name)
		}
	}
	fmt.Fprintf(&b, "control: {join: [%s]", strings.Join(join, ", "))
	if !g.late {
		fmt.Fprintf(&b, ", expect: [%s]", strings.Join(expect, ", "))
	}
	b.WriteString("}\nfailover: {interval: 200ms, vantages: 1, hold_down: 500ms, ramp: 500ms}\nshutdown: {drain: 1s}\n")
	fmt.Fprintf(&b, "services:\n  - name: tools\n    path: /mcp\n    discover: [{static: {nodes: [{id: %s-n, url: %q}]}}]\n", g.region, g.f.node)
	return b.String()
}

// start writes the configuration and starts a process; it serves when this returns.
func (g *gateway) start() error {
	file := filepath.Join(g.f.dir, g.name+".yaml")
	if err := os.WriteFile(file, []byte(g.document()), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.f.t.Context()), formed)
	defer cancel()
	p, _, err := g.f.group.Start(ctx, child.Spec{Path: binary, Args: []string{"serve", "--config", file}, Ready: child.Stderr, ReadyMsg: "serving", Log: g.log})
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", g.name, err, g.log)
	}
	g.process = p
	return nil
}

// ask makes one request to the admin listener, as somebody else than Terraform would.
func (g *gateway) ask(method, path, body string) (int, []byte) {
	scheme, transport := "http://", &http.Transport{DisableKeepAlives: true}
	if m := g.f.mutual; m != nil {
		scheme, transport.TLSClientConfig = "https://", m.client
	}
	r, err := http.NewRequestWithContext(context.WithoutCancel(g.f.t.Context()), method, scheme+g.admin+path, bytes.NewReader([]byte(body)))
	if err != nil {
		g.f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// change does so too, and must succeed.
func (g *gateway) change(method, path, body string) {
	g.f.t.Helper()
	g.f.await(method+" "+path, func() bool { code, _ := g.ask(method, path, body); return code/100 == 2 })
}

// settings are what the group holds of a document, "" for none.
func (g *gateway) settings(path string) string {
	code, answer := g.ask(http.MethodGet, path, "")
	if code != http.StatusOK {
		return ""
	}
	var s struct{ Settings json.RawMessage }
	if err := json.Unmarshal(answer, &s); err != nil {
		g.f.t.Fatal(err)
	}
	return string(s.Settings)
}

// leader is the gateway that leads.
func (f *fleet) leader() *gateway {
	f.t.Helper()
	var found *gateway
	f.await("a gateway leads", func() bool {
		for _, g := range f.gateways {
			_, answer := g.ask(http.MethodGet, "/v1/cluster", "")
			var c struct{ Leader string }
			if json.Unmarshal(answer, &c) != nil {
				continue
			}
			for _, o := range f.gateways {
				if o.name == c.Leader {
					found = o
				}
			}
			return found != nil
		}
		return false
	})
	return found
}
