package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/strategies"
)

// TestControlProblems has the file of a gateway gw-1 that could be reached by others, with certificates as given, and
// adds lines from the fifth on.
func TestControlProblems(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir)
	peer := "peer: {address: \"127.0.0.1:9100\", ca_file: " + dir + "/ca.crt, cert_file: " + dir + "/us-east-gw-1.crt, key_file: " + dir + "/us-east-gw-1.key}\n"
	const (
		top      = "name: gw-1\nregion: us-east\ndata_dir: /var/lib/quorate\n"
		services = "services:\n" + tail
		three    = "control: {expect: [gw-1, gw-2, gw-3], join: [\"127.0.0.1:9101\"]}\n"
	)
	file := func(text string) string { return top + peer + text + services }
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"nothing of it", head + tail, nil},
		{"alone", top + "control: {expect: [gw-1]}\n" + services, nil},
		{"three", file(three), nil},
		{"three and where they are", file("control: {expect: [gw-1, gw-2, gw-3], join: [\"127.0.0.1:9100\", \"127.0.0.1:9101\"]}\n"), nil},
		{"three, found by their regions", file("control: {expect: [gw-1, gw-2, gw-3]}\nregions: {eu: {gateways: [\"127.0.0.1:9101\"]}}\n"), nil},
		{"a member", file("control: {join: [\"127.0.0.1:9101\"], role: member}\n"), nil},
		{"a witness", top + peer + "control: {expect: [gw-1, gw-2, gw-3], join: [\"127.0.0.1:9101\"], role: witness}\n", nil},
		{"two and a master", file("control: {expect: [gw-1, gw-2], join: [\"127.0.0.1:9101\"]}\nsplit_brain: {strategy: configured_master, master: gw-2}\n"), nil},
		{"a plugin", file(three + "split_brain: {strategy: mine, options: {home: eu}, plugin: {path: /bin/mine, sha256: " + strings.Repeat("0f", 32) + ", args: [-v]}}\n"), nil},
		{"a witness with services", file("control: {expect: [gw-1, gw-2, gw-3], join: [\"127.0.0.1:9101\"], role: witness}\n"), []string{
			`quorate.yaml:6: services: stand in the file of a witness, which carries no traffic; write the file without services, or role: voter under control`,
		}},
		{"no services and no witness", top + peer + three, []string{
			`quorate.yaml:1: services: is missing; write services: a list with one entry per MCP server, such as - name: tools`,
		}},
		{"no folder", "name: gw-1\nregion: us-east\n" + peer + three + services, []string{
			`quorate.yaml:1: data_dir: is missing beside control: what a gateway promised must outlive it; write data_dir: DIRECTORY, such as /var/lib/quorate`,
		}},
		{"no way to the others", top + "control: {expect: [gw-1, gw-2, gw-3]}\n" + services, []string{
			`quorate.yaml:1: peer.address: is missing beside control: the others of the group speak to this gateway there; write address: HOST:PORT under peer, with ca_file, cert_file and key_file`,
			`quorate.yaml:4: control.join: is missing, and no other gateway is named under regions; write join: ["HOST:PORT"], the peer addresses of gateways in the group`,
		}},
		{"a member on its own", file("control: {role: member, join: [\"127.0.0.1:9100\"]}\n"), []string{
			`quorate.yaml:5: control.join: is missing, and no other gateway is named under regions; write join: ["HOST:PORT"], the peer addresses of gateways in the group`,
		}},
		{"everywhere is no address", top + strings.Replace(peer, "127.0.0.1:9100", "0.0.0.0:9100", 1) + three + services, []string{
			`quorate.yaml:4: peer.advertise: is missing beside control, and peer.address is no address that others can use; write advertise: HOST:PORT as other gateways reach this one`,
		}},
		{"addresses that lead nowhere", top + strings.Replace(peer, "{", "{advertise: \":9100\", ", 1) + "control: {expect: [gw-1, gw-2, gw-3], join: [\"h:9100\", \"h:0\", \"h:9100\"]}\n" + services, []string{
			`quorate.yaml:4: peer.advertise: ":9100" is no address that others can use; write HOST:PORT as other gateways reach this one, such as 10.0.1.7:9100`,
			`quorate.yaml:5: control.join[1]: "h:0" is no address to dial; write the HOST:PORT of a gateway's peer listener, such as 10.0.1.7:9100`,
			`quorate.yaml:5: control.join[2]: "h:9100" is taken by control.join[0]; write every address once`,
		}},
		{"without itself", file("control: {expect: [gw-2, gw-3, gw-2], join: [\"127.0.0.1:9101\"]}\n"), []string{
			`quorate.yaml:5: control.expect[2]: "gw-2" is taken by control.expect[0]; write every name once`,
			`quorate.yaml:5: control.expect: does not name this gateway, gw-1, which is to vote; write gw-1 among the names, or role: member`,
		}},
		{"a member that is expected to vote", file("control: {expect: [gw-1, gw-2, gw-3], join: [\"127.0.0.1:9101\"], role: member}\n"), []string{
			`quorate.yaml:5: control.expect: names this gateway, gw-1, as a voter, and control.role is member; write the names without it, or role: voter`,
		}},
		{"two", file("control: {expect: [gw-1, gw-2], join: [\"127.0.0.1:9101\"]}\n"), []string{
			`quorate.yaml:5: control.expect: are two voters under winner_takes_all, which needs both: either's loss would stop all writes; write a third name, such as that of a witness (quorate serve --witness is a tiny voter for a third place), or strategy: oldest_node or configured_master under split_brain, which need one`,
		}},
		{"words and ranges", file("control: {role: boss, interval: 1ms}\nsplit_brain: {minority: shout, lease: 1h, options: {\"-x\": a}}\n"), []string{
			`quorate.yaml:5: control.role: "boss" is not one of the words known here; write voter, member or witness`,
			`quorate.yaml:5: control.interval: "1ms" is out of range; write 50ms to 5s`,
			`quorate.yaml:6: split_brain.minority: "shout" is not one of the words known here; write read_only, reject or standalone`,
			`quorate.yaml:6: split_brain.lease: "1h" is out of range; write auto, or from 100ms to 1m0s`,
			`quorate.yaml:6: split_brain.options.-x: "-x" is not a name; write 1 to 64 letters, digits, dots, hyphens and underscores such as us-east-1`,
		}},
		{"a lease within a beat", file(three + "split_brain: {lease: 300ms}\n"), []string{
			`quorate.yaml:6: split_brain.lease: 300ms would end between two heartbeats, which are 200ms apart; write auto, or 400ms at least`,
		}},
		{"an unknown strategy", file(three + "split_brain: {strategy: oldest}\n"), []string{
			`quorate.yaml:6: split_brain.strategy: "oldest" is not built in; write winner_takes_all, oldest_node, configured_master or region_majority, or name its program under plugin`,
		}},
		{"a plugin under a name of ours", file(three + "split_brain: {plugin: {path: /bin/mine}}\n"), []string{
			`quorate.yaml:6: split_brain.strategy: "winner_takes_all" is built in, and a plugin is named too; write a name of the plugin's own, or no plugin`,
			`quorate.yaml:6: split_brain.plugin.sha256: is missing beside path; write sha256: what sha256sum /bin/mine prints`,
		}},
		{"half a plugin", file(three + "split_brain: {plugin: {args: [-v]}}\n"), []string{
			`quorate.yaml:6: split_brain.plugin.path: is missing; write path: FILE, the plugin's executable`,
		}},
		{"a plugin somewhere", file(three + "split_brain: {strategy: mine, plugin: {path: mine, sha256: 12}}\n"), []string{
			`quorate.yaml:6: split_brain.plugin.path: "mine" is not absolute; write the executable's whole path, such as /usr/lib/quorate/my-strategy`,
			`quorate.yaml:6: split_brain.plugin.sha256: "12" is not text but a number; write it in quotes: "12"`,
		}},
		{"no master", file(three + "split_brain: {strategy: configured_master}\n"), []string{
			`quorate.yaml:6: split_brain.master: is missing with strategy: configured_master; write master: the name of a voter`,
		}},
		{"a master that does not vote", file(three + "split_brain: {strategy: configured_master, master: gw-9}\n"), []string{
			`quorate.yaml:6: split_brain.master: "gw-9" is none of the voters that control.expect names; write gw-1, gw-2, gw-3: one of them`,
		}},
		{"a master elsewhere", head + tail + "split_brain: {strategy: configured_master, master: gw-9}\n", []string{
			`quorate.yaml:7: split_brain.master: "gw-9" is not this gateway, and there is no control group; write master: gw-1, or expect and join under control`,
		}},
		{"two masters", file(three + "split_brain: {master: gw-1, options: {master: gw-2}}\n"), []string{
			`quorate.yaml:6: split_brain.options.master: is given as split_brain.master too; write it in one place`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, problemsOf(t, tc.text)); diff != "" {
				t.Errorf("problems differ (-want +got):\n%s", diff)
			}
		})
	}
}

// issue makes an authority and the certificate of us-east/gw-1.
func issue(t *testing.T, dir string) {
	t.Helper()
	if err := ca.Init(dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Issue(dir, "us-east", "gw-1", ca.Options{}); err != nil {
		t.Fatal(err)
	}
}

func TestControlIsRead(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir)
	text := head + tail + `    routes: [{match: {tool: convert}, authority: none}]
data_dir: d
peer: {address: "0.0.0.0:9100", advertise: "10.0.1.7:9100", ca_file: ca.crt, cert_file: us-east-gw-1.crt, key_file: us-east-gw-1.key}
control: {expect: [gw-1, gw-2, w], join: ["10.0.2.7:9100"], interval: 100ms}
split_brain: {strategy: oldest_node, minority: standalone, lease: 2s, options: {a: b}, master: gw-2}
routes: [{match: {tool: "*"}}]
`
	c, err := Load(writeIn(t, dir, "quorate.yaml", text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Controlled() || c.Control.RoleOf() != strategies.Voter || c.Control.Interval != 100*time.Millisecond || c.Peer.Reached() != "10.0.1.7:9100" {
		t.Errorf("control %+v, peer %+v", c.Control, c.Peer)
	}
	if s := c.SplitBrain; s.Mode() != authority.Standalone || s.LeaseOf() != 2*time.Second || !cmp.Equal(s.OptionsOf(), map[string]string{"a": "b", "master": "gw-2"}) {
		t.Errorf("split brain %+v", s)
	}
	if routes := c.RoutesOf(0); !routes[0].Exempt() || routes[1].Exempt() {
		t.Errorf("routes %+v", routes)
	}
	least := load(t, head+tail)
	if s := least.SplitBrain; least.Controlled() || s.Mode() != authority.ReadOnly || s.LeaseOf() != 0 || s.Strategy != "winner_takes_all" || least.Peer.Reached() != "" {
		t.Errorf("defaults %+v", s)
	}
}

// quorate serve --witness is this variable, over the file of a voter without services.
func TestWitnessByVariable(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir)
	path := writeIn(t, dir, "quorate.yaml", `name: gw-1
region: us-east
data_dir: d
peer: {address: "10.0.1.7:9100", ca_file: ca.crt, cert_file: us-east-gw-1.crt, key_file: us-east-gw-1.key}
control: {expect: [gw-1, gw-2, gw-3], join: ["10.0.2.7:9100"]}
`)
	if c, err := Load(path, []string{"QUORATE_CONTROL_ROLE=witness"}); err != nil || c.Control.RoleOf() != strategies.Witness {
		t.Errorf("as a witness: %v", err)
	}
	if _, err := Load(path, nil); err == nil {
		t.Error("a voter without services passes")
	}
}

func TestReloadOfControl(t *testing.T) {
	was := load(t, head+tail)
	if err := CheckReload(was, load(t, head+tail+"split_brain: {minority: reject}\n")); err != nil {
		t.Errorf("minority: %v", err)
	}
	if err := CheckReload(was, load(t, head+tail+"split_brain: {strategy: oldest_node, lease: 1s}\n")); err == nil || !strings.Contains(err.Error(), "change of split_brain.strategy, split_brain.lease needs a restart") {
		t.Errorf("strategy: %v", err)
	}
}

// writeIn writes a file into a folder and returns its path.
func writeIn(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
