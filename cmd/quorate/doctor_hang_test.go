package main

import (
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/consulproc"
	"github.com/quorate/quorate/internal/doctor"
)

// slack is what a run may take beyond its timeout, with the start of the process on a busy machine.
const slack = 2 * time.Second

// silent is an address that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestDoctorEndsWhateverHangs(t *testing.T) {
	p := newPlace(t)
	fleet := p.fleet("fleet")
	p.issue(fleet, "us-east", "gw-1", ca.Options{})
	consul := startConsul(t, consulproc.Config{})
	if err := consul.Pause(); err != nil {
		t.Fatal(err)
	}
	mute := []string{p.dnsServer(func(miekg.ResponseWriter, *miekg.Msg) {}), p.dnsServer(func(miekg.ResponseWriter, *miekg.Msg) {})}
	config := "peer: {ca_file: fleet/ca.crt, cert_file: fleet/us-east-gw-1.crt, key_file: fleet/us-east-gw-1.key}\n" +
		"regions: {eu-west: {gateways: [\"" + silent(t) + "\"]}}\n" +
		strings.ReplaceAll(fromConsul(consul.URL(), "", "service: search"), "1s", "30s") +
		strings.ReplaceAll(resolvers(mute...), "timeout: 1s", "timeout: 30s") + listed("https://"+silent(t)+"/mcp")
	began := time.Now()
	out, code := p.doctor(config, "--json", "--timeout", "2s")
	if took := time.Since(began); code != 2 || took > 2*time.Second+slack {
		t.Errorf("exit code %d after %v", code, took)
	}
	r := read(t, out)
	for _, what := range []string{"consul", "consul datacenter", "consul service", "dns agreement", "node", "peer gateway"} {
		found := false
		for _, c := range r.Checks {
			if found = c.What == what; found {
				if c.Status != doctor.Fail {
					t.Errorf("%+v", c)
				}
				break
			}
		}
		if !found {
			t.Errorf("no row about %s: %s", what, out)
		}
	}
}

// A file that hangs is the worst that there is: nothing can be asked.
func TestDoctorEndsWhenTheFileHangs(t *testing.T) {
	p := newPlace(t)
	file := filepath.Join(p.dir, "fifo")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	out, code := p.doctorOf(file, "--timeout", "300ms")
	if took := time.Since(began); code != 2 || took > 300*time.Millisecond+slack || !strings.Contains(out, "no answer within 300ms") {
		t.Errorf("exit code %d after %v: %s", code, took, out)
	}
}

func TestDoctorChangesNothing(t *testing.T) {
	p := newPlace(t)
	node := realNode(t)
	config := "data_dir: data\n" + head + "services:\n  - name: search\n    path: /search\n    discover:\n" + listed("http://"+node+mcpPath)
	if err := syscall.Mkdir(filepath.Join(p.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.file("quorate.yaml", config)
	before := p.tree()
	if out, code := p.doctor(config); code != 1 || p.tree() != before {
		t.Errorf("exit code %d: %s\nfiles before: %s\nafter: %s", code, out, before, p.tree())
	}
}

// tree lists the place's files and when its directories changed.
func (p *place) tree() string {
	p.t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		b.WriteString(path)
		if d.IsDir() && path != p.dir {
			b.WriteString(" " + info.ModTime().String())
		}
		b.WriteString("\n")
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return b.String()
}

func TestDoctorUsage(t *testing.T) {
	p := newPlace(t)
	for _, args := range [][]string{{"--timeout", "1ms"}, {"--timeout", "x"}, {"--jsn"}, {"more"}} {
		if out, code, stderr := p.run(append([]string{"--config", "none.yaml"}, args...)...); code != 2 || out != "" || stderr == "" {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, stderr)
		}
	}
	if out, code, stderr := p.run(); code != 2 || out != "" || !strings.Contains(stderr, "config") {
		t.Errorf("no file named: exit code %d: %s%s", code, out, stderr)
	}
}

// A source that is slow leaves time for the nodes that it names.
func TestDoctorLeavesTimeForNodes(t *testing.T) {
	p := newPlace(t)
	zone := zoneOf(name, proving(realNode(t))(p))
	mute := p.dnsServer(func(miekg.ResponseWriter, *miekg.Msg) {})
	config := strings.ReplaceAll(searching(resolvers(p.resolver("R1", zone...), p.resolver("R2", zone...), mute)), "timeout: 1s", "timeout: 30s")
	out, code := p.doctor(config, "--json", "--timeout", "3s")
	for _, c := range read(t, out).Checks {
		if c.What == "node" && c.Status == doctor.OK && code == 1 {
			return
		}
	}
	t.Errorf("exit code %d, no good node: %s", code, out)
}
