package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// head is a good beginning of four lines; tail is a good service of three.
const (
	head = "name: gw-1\nregion: us-east\nservices:\n"
	tail = "  - name: tools\n    path: /mcp\n    discover: [{static: {nodes: [{id: a, url: \"http://127.0.0.1:9001/mcp\"}]}}]\n"
)

// problemsOf loads text and returns the problems, each without the directory of the file.
func problemsOf(t *testing.T, text string, environ ...string) []string {
	t.Helper()
	path := write(t, "quorate.yaml", text)
	_, err := Load(path, environ)
	if err == nil {
		return nil
	}
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error is %T, want Problems", err)
	}
	dir := filepath.Dir(path) + string(filepath.Separator)
	return strings.Split(strings.ReplaceAll(problems.Error(), dir, ""), "\n")
}

func TestProblems(t *testing.T) {
	good := head + tail
	tests := []struct {
		name    string
		text    string
		environ []string
		want    []string
	}{
		{"good", good, nil, nil},
		{"good with CRLF", strings.ReplaceAll(good, "\n", "\r\n"), nil, nil},
		{"good with a byte order mark", "\ufeff" + good, nil, nil},
		{"good with tabs after values and in comments", good + "# \ta\n\t# b\nlog:\t{level: info}\t\n", nil, nil},
		{"good with empty values", good + "listen:\nadmin: {address: , tls: }\nlog: {level: \"\"}\n", nil, nil},
		{"everything at once", "nmae: gw-1\nregion: 5\nlisten: {max_body: 4MB}\nservices:\n  - name: tools\n    path: mcp\n    checks: {interval: 5}\n", nil, []string{
			`quorate.yaml:1: nmae: is not a known key; write name`,
			`quorate.yaml:1: name: is missing; write name: gw-1`,
			`quorate.yaml:2: region: "5" is not text but a number; write it in quotes: "5"`,
			`quorate.yaml:3: listen.max_body: "4MB" is not a size; write a whole number with the unit B, KiB, MiB or GiB such as 4MiB`,
			`quorate.yaml:5: services[0].discover: is missing; write discover: [{static: {nodes: [{id: a, url: "http://127.0.0.1:9001/mcp"}]}}]`,
			`quorate.yaml:6: services[0].path: "mcp" is not a URL path; write a path such as /mcp, at most 256 bytes, without a slash at the end, ?, #, %, .. or spaces`,
			`quorate.yaml:7: services[0].checks.interval: "5" is not a duration; write a number with a unit such as 5s`,
		}},
		{"nothing", "", nil, []string{
			`quorate.yaml:1: name: is missing; write name: gw-1`,
			`quorate.yaml:1: region: is missing; write region: us-east`,
			`quorate.yaml:1: services: is missing; write services: a list with one entry per MCP server, such as - name: tools`,
		}},
		{"empty required", "name:\nregion: \"\"\nservices: []\n", nil, []string{
			`quorate.yaml:1: name: is empty; write name: gw-1`,
			`quorate.yaml:2: region: is empty; write region: us-east`,
			`quorate.yaml:3: services: is empty; write services: a list with one entry per MCP server, such as - name: tools`,
		}},
		{"a list", "- a\n", nil, []string{
			`quorate.yaml:1: file: is a list, not a section of keys; write keys below it: name, region, data_dir, listen, admin, shutdown, log, telemetry, consul, peer, regions, classes, failover, control, split_brain, replication, routes or services`,
		}},
		{"wrong shapes", head + tail + "listen: 8080\nadmin: [a]\nlog: {level: {a: b}}\n", nil, []string{
			`quorate.yaml:7: listen: is a number, not a section of keys; write keys below it: address, tls, allowed_hosts, allowed_origins, max_body, header_timeout, body_timeout or idle_timeout`,
			`quorate.yaml:8: admin: is a list, not a section of keys; write keys below it: address, token_file or tls`,
			`quorate.yaml:9: log.level: is a section of keys, not a single value; write a value such as info`,
		}},
		{"wrong list", "name: a\nregion: b\nservices: {name: a}\nlisten: {allowed_hosts: a}\n", nil, []string{
			`quorate.yaml:3: services: is a section of keys, not a list; write a list such as a list with one entry per MCP server, such as - name: tools`,
			`quorate.yaml:4: listen.allowed_hosts: is text, not a list; write a list such as ["mcp.example.com"]`,
		}},
		{"empty entries", head + "  -\n" + tail + "listen: {allowed_hosts: [a, '']}\n", nil, []string{
			`quorate.yaml:4: services[0]: is empty; write an entry, or remove the line`,
			`quorate.yaml:8: listen.allowed_hosts[1]: is empty; write an entry, or remove the line`,
		}},
		{"wrong scalars", good + "    retry: {attempts: \"3\", budget_min: 1.5, budget_percent: 0x10}\n    affinity: {request_state: yes}\n    session: {max: 0, idle: 1000h, buffer_bytes: -1}\n", nil, []string{
			`quorate.yaml:7: services[0].retry.attempts: "3" is text; write it without quotes, such as 3`,
			`quorate.yaml:7: services[0].retry.budget_min: "1.5" is not a whole number; write a number such as 3`,
			`quorate.yaml:7: services[0].retry.budget_percent: "0x10" is not a whole number; write a number such as 20`,
			`quorate.yaml:8: services[0].affinity.request_state: "yes" is not a switch; write true or false`,
			`quorate.yaml:9: services[0].session.max: "0" is out of range; write 1 to 10000000`,
			`quorate.yaml:9: services[0].session.idle: "1000h" is out of range; write 1s to 720h`,
			`quorate.yaml:9: services[0].session.buffer_bytes: "-1" is not a size; write a whole number with the unit B, KiB, MiB or GiB such as 256KiB`,
		}},
		{"unknown words", good + "    routes: [{match: {tool: a}, retry_class: twice}]\nlog: {level: loud}\nzzz: 1\n", nil, []string{
			`quorate.yaml:7: services[0].routes[0].retry_class: "twice" is not one of the words known here; write once, retry or hedge`,
			`quorate.yaml:8: log.level: "loud" is not one of the words known here; write debug, info, warn or error`,
			`quorate.yaml:9: zzz: is not a known key; write name, region, data_dir, listen, admin, shutdown, log, telemetry, consul, peer, regions, classes, failover, control, split_brain, replication, routes or services`,
		}},
		{"duplicates", good + "name: gw-2\n", nil, []string{
			`quorate.yaml:7: name: is given twice, first in line 1; write it once`,
		}},
		{"duplicate services and nodes", good + "  - name: tools\n    path: /mcp\n    discover:\n      - static: {nodes: [{id: a, url: \"http://h/a\"}]}\n      - static: {nodes: [{id: a, url: \"http://h/b\"}, {id: b, url: \"http://h/a\"}]}\n", nil, []string{
			`quorate.yaml:7: services[1].name: "tools" is taken by services[0].name; write a name of its own`,
			`quorate.yaml:8: services[1].path: "/mcp" is taken by services[0].path; write a path of its own`,
			`quorate.yaml:11: services[1].discover[1].static.nodes[0].id: "a" is taken by services[1].discover[0].static.nodes[0].id; write an id of its own`,
			`quorate.yaml:11: services[1].discover[1].static.nodes[1].url: "http://h/a" is taken by services[1].discover[0].static.nodes[0].url; write a URL of its own: one process would count as two nodes`,
		}},
		{"no source", head + "  - name: tools\n    path: /mcp\n    discover:\n      - {}\n      - {etcd: {}}\n      - {static: {nodes: }}\n", nil, []string{
			`quorate.yaml:7: services[0].discover[0]: names no source; write static: {nodes: [...]}, consul: {service: NAME} or dns: {name: NAME}`,
			`quorate.yaml:8: services[0].discover[1].etcd: is not a known key; write static, consul or dns`,
			`quorate.yaml:9: services[0].discover[2].static.nodes: is empty; write nodes: [{id: a, url: "http://127.0.0.1:9001/mcp"}]`,
		}},
		{"routes", good + "    routes:\n      - {match: {}, retry_class: once}\n      - {retry_class: once}\n      - match: {tool: \"a[\"}\n      - match: {tool: a, prompt: b}\n", nil, []string{
			`quorate.yaml:8: services[0].routes[0].match: is empty; write match: {tool: "charge_*"}`,
			`quorate.yaml:9: services[0].routes[1].match: is missing; write match: {tool: "charge_*"}`,
			`quorate.yaml:10: services[0].routes[2].match.tool: "a[" is not a pattern; write a pattern such as charge_*, with \ before a [, ? or * that is meant as it is`,
			`quorate.yaml:11: services[0].routes[3].match.prompt: can never match together with tool; write a route of its own for each`,
		}},
		{"aliases, tags and merges", "name: &n gw-1\nregion: *n\ndata_dir: !!str d\nlisten: {<<: {address: a}}\nservices:\n" + tail, nil, []string{
			`quorate.yaml:2: region: uses a YAML alias; write the value itself`,
			`quorate.yaml:3: data_dir: has a YAML tag; write the value without "!!str"`,
			`quorate.yaml:4: listen."<<": is not a known key; write address, tls, allowed_hosts, allowed_origins, max_body, header_timeout, body_timeout or idle_timeout`,
		}},
		{"odd keys", good + "[a]: 1\n? {b: c}\n: 2\n\"x\\ny\": 3\n", nil, []string{
			`quorate.yaml:7: (a list): is not a known key; write name, region, data_dir, listen, admin, shutdown, log, telemetry, consul, peer, regions, classes, failover, control, split_brain, replication, routes or services`,
			`quorate.yaml:8: (a section of keys): is not a known key; write name, region, data_dir, listen, admin, shutdown, log, telemetry, consul, peer, regions, classes, failover, control, split_brain, replication, routes or services`,
			`quorate.yaml:10: "x\ny": is not a known key; write name, region, data_dir, listen, admin, shutdown, log, telemetry, consul, peer, regions, classes, failover, control, split_brain, replication, routes or services`,
		}},
		{"open admin", good + "admin: {address: \":9090\"}\n", nil, []string{
			`quorate.yaml:7: admin.address: ":9090" is open to other machines without authentication; write a loopback address such as 127.0.0.1:9090, or set admin.token_file or admin.tls.client_ca_file`,
		}},
		{"open admin by name", good + "admin:\n  address: gw.example.com:9090\n", nil, []string{
			`quorate.yaml:8: admin.address: "gw.example.com:9090" is open to other machines without authentication; write a loopback address such as 127.0.0.1:9090, or set admin.token_file or admin.tls.client_ca_file`,
		}},
		{"loopback admin", good + "admin: {address: \"[::1]:0\"}\n", nil, nil},
		{"one address twice", good + "listen: {address: \"localhost:9\"}\nadmin: {address: \"localhost:9\"}\n", nil, []string{
			`quorate.yaml:8: admin.address: is the address of listen too; write another port, such as 127.0.0.1:9090`,
		}},
		{"half TLS", good + "listen: {tls: {cert_file: a}}\nadmin: {tls: {client_ca_file: b}}\n", nil, []string{
			`quorate.yaml:7: listen.tls.key_file: is missing beside cert_file; write key_file: FILE, the certificate's private key`,
			`quorate.yaml:8: admin.tls.client_ca_file: asks for client certificates without TLS; write cert_file and key_file beside it`,
		}},
		{"two documents", good + "---\nname: b\n", nil, []string{
			`quorate.yaml:7: file: holds a second YAML document; write one document, without a --- line in it`,
		}},
		{"tabs", "name: gw-1\nlisten:\n\taddress: a\n  \ttls: {}\n", nil, []string{
			`quorate.yaml:3: file: is indented with a tab; write spaces instead of the tab`,
			`quorate.yaml:4: file: is indented with a tab; write spaces instead of the tab`,
		}},
		{"bytes", "name: \xff\nregion: a\x00b\n", nil, []string{
			`quorate.yaml:1: file: holds bytes that are not UTF-8; write it as UTF-8 text`,
			`quorate.yaml:2: file: holds a control character; write the line without it`,
		}},
		{"UTF-16", "\xff\xfen\x00", nil, []string{
			`quorate.yaml:1: file: is UTF-16 text; write it as UTF-8`,
		}},
		{"environment", good, []string{"PATH=/bin", "QUORATE_NAME=", "QUORATE_LOG_LEVEL=loud", "QUORATE_ADMIN_ADRESS=x", "QUORATE_ZZZ=1", "QUORATE_SERVICES=a"}, []string{
			`environment: QUORATE_ADMIN_ADRESS: is not a known variable; write QUORATE_ADMIN_ADDRESS`,
			`environment: QUORATE_LOG_LEVEL: "loud" is not one of the words known here; write debug, info, warn or error`,
			`environment: QUORATE_NAME: is empty; write name: gw-1`,
			`environment: QUORATE_SERVICES: is not a known variable; write a variable listed in docs/configuration.md`,
			`environment: QUORATE_ZZZ: is not a known variable; write a variable listed in docs/configuration.md`,
		}},
		{"what Kubernetes tells of services", good, []string{"QUORATE_AGENTS_SERVICE_HOST=10.0.0.1", "QUORATE_AGENTS_SERVICE_PORT_MCP=80",
			"QUORATE_AGENTS_PORT=tcp://10.0.0.1:80", "QUORATE_AGENTS_PORT_80_TCP_ADDR=10.0.0.1", "QUORATE_LISTEN_PORT=8080"}, []string{
			`environment: QUORATE_AGENTS_PORT: is not a setting but what Kubernetes tells pods of a Service whose name begins with quorate; write enableServiceLinks: false into the pod's spec`,
			`environment: QUORATE_AGENTS_PORT_80_TCP_ADDR: is not a setting but what Kubernetes tells pods of a Service whose name begins with quorate; write enableServiceLinks: false into the pod's spec`,
			`environment: QUORATE_AGENTS_SERVICE_HOST: is not a setting but what Kubernetes tells pods of a Service whose name begins with quorate; write enableServiceLinks: false into the pod's spec`,
			`environment: QUORATE_AGENTS_SERVICE_PORT_MCP: is not a setting but what Kubernetes tells pods of a Service whose name begins with quorate; write enableServiceLinks: false into the pod's spec`,
			`environment: QUORATE_LISTEN_PORT: is not a known variable; write a variable listed in docs/configuration.md`,
		}},
		{"the provider's variables", good, []string{"QUORATE_ADMIN_URL=http://127.0.0.1:1", "QUORATE_ADMIN_TOKEN=secret"}, []string{
			`environment: QUORATE_ADMIN_TOKEN: is the Terraform provider's, not a gateway's; write unset QUORATE_ADMIN_TOKEN in this shell; a gateway has QUORATE_ADMIN_ADDRESS and QUORATE_ADMIN_TOKEN_FILE`,
			`environment: QUORATE_ADMIN_URL: is the Terraform provider's, not a gateway's; write unset QUORATE_ADMIN_URL in this shell; a gateway has QUORATE_ADMIN_ADDRESS and QUORATE_ADMIN_TOKEN_FILE`,
		}},
		{"environment beside a bad file", "name: gw-1\n", []string{"QUORATE_ADMIN_ADDRESS=0.0.0.0:1"}, []string{
			`quorate.yaml:1: region: is missing; write region: us-east`,
			`quorate.yaml:1: services: is missing; write services: a list with one entry per MCP server, such as - name: tools`,
			`environment: QUORATE_ADMIN_ADDRESS: "0.0.0.0:1" is open to other machines without authentication; write a loopback address such as 127.0.0.1:9090, or set admin.token_file or admin.tls.client_ca_file`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, problemsOf(t, tt.text, tt.environ...)); diff != "" {
				t.Errorf("problems differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSyntaxProblemsNameTheLine(t *testing.T) {
	tests := []struct {
		name, text, line string
	}{
		{"open bracket", head + "  - {name: [a\nregion: b\n", "4"},
		{"open quote", head + "  - name: \"a\n", "4"},
		{"bad indent", "name: a\n  region: b\n", "2"},
		{"no space after the colon", "name: a\nregion:b\n", "2"},
		{"second colon", "name: a\nregion: b: c\n", "2"},
		{"bad indent deep inside", head + tail + "   checks: {}\nlog: {level: info}\n", "7"},
		{"bad flow over lines", "name: a\nlisten: {\n  address: b,\n  tls: \"x\" y,\n}\n", "2"}, // where the bracket opens
		{"unknown anchor", "name: *a\n", "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := problemsOf(t, tt.text)
			if len(got) != 1 || !strings.HasPrefix(got[0], "quorate.yaml:"+tt.line+": file: is not YAML: ") {
				t.Errorf("got %q, want one line at %s", got, tt.line)
			}
		})
	}
}

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	big := write(t, "big.yaml", strings.Repeat("#", MaxFile+1))
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file or directory",
		dir:                        "is a directory",
		big:                        "is too large",
	} {
		_, err := Load(path, nil)
		line := path + ":1: file: cannot be read: " + want + "; write the name of a readable YAML file of at most 1MiB"
		if err == nil || err.Error() != line {
			t.Errorf("got  %v\nwant %s", err, line)
		}
	}
}

func TestAliasBombIsRefused(t *testing.T) {
	text := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'z'; c++ {
		refs := strings.Repeat("*"+string(c-1)+",", 9)
		text += string(c) + ": &" + string(c) + " [" + refs + "]\n"
	}
	if got := problemsOf(t, text+"region: *z\n"); len(got) == 0 || len(got) > 40 {
		t.Errorf("got %d problems", len(got))
	}
}

// Large files of the worst kinds are refused in little time and few lines.
func TestReportsAreBounded(t *testing.T) {
	rows := func(row string) string { return strings.Repeat(row, MaxFile/4/len(row)) }
	for name, text := range map[string]string{
		"bad entries":   "listen: {allowed_hosts: [" + strings.Repeat("'a b',", 900) + "]}\n",
		"bad nodes":     head + "  - {name: a, path: /a, discover: [{static: {nodes: [" + strings.Repeat("{},", 9999) + "]}}]}\n",
		"unknown keys":  rows("? [a]\n"),
		"duplicates":    rows("a: 1\n"),
		"tabs":          rows("\ta\n"),
		"open brackets": head + rows("["),
		"late mistake":  rows("a: [b, c]\n") + "b: c: d\n",
		"early mistake": "b: c: d\n" + rows("a: [b, c]\n"),
	} {
		t.Run(name, func(t *testing.T) {
			start := cpuTime(t)
			if got := problemsOf(t, text); len(got) == 0 || len(got) > maxProblems {
				t.Errorf("got %d problems", len(got))
			}
			if took := cpuTime(t) - start; took > 10*time.Second { // measured: under 0.5 s, 10 times that with -race
				t.Errorf("took %s of CPU time", took)
			}
		})
	}
}

// cpuTime is what this process has used, which other processes do not change.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestSecretsAreNotShown(t *testing.T) {
	text := head + "  - name: tools\n    path: /mcp\n    token: hunter2\n    discover: [{static: {nodes: [{id: a, url: \"http://me:hunter2@h/mcp\"}]}}]\n"
	got := strings.Join(problemsOf(t, text), "\n")
	if strings.Contains(got, "hunter2") || !strings.Contains(got, "user name or password") {
		t.Errorf("got %s", got)
	}
}

func TestRelativeNamesStartAtTheFile(t *testing.T) {
	path := write(t, "quorate.yaml", head+tail+"data_dir: d\nadmin: {token_file: token}\n")
	dir := filepath.Dir(path)
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != filepath.Join(dir, "d") || c.Admin.TokenFile != filepath.Join(dir, "token") {
		t.Errorf("got %s and %s", c.DataDir, c.Admin.TokenFile)
	}
}
