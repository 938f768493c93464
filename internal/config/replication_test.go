package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/settings"
)

func TestReplicationProblems(t *testing.T) {
	sum := strings.Repeat("0f", 32)
	plugin := "plugin: {path: /bin/mine, sha256: " + sum + "}"
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"nothing of it", head + tail, nil},
		{"all of it", head + tail + "    replication: {strategy: quorum, factor: 0, timeout: 1s, retries: 1, max_lag: 1s}\nreplication: {strategy: async, factor: 3, timeout: 1m, retries: 10, max_lag: 10m, max_record: 3MiB, options: {a: b}}\n", nil},
		{"a plugin", head + tail + "replication: {strategy: mine, " + plugin + "}\n", nil},
		{"a service's settings of the same plugin", head + tail + "    replication: {plugin: {path: /bin/mine, sha256: " + sum + ", settings: {a: 1}}}\nreplication: {strategy: mine, " + plugin + "}\n", nil},
		{"out of range", head + tail + "replication: {factor: 9, timeout: 1ms, retries: 0, max_lag: 1h, max_record: 4MiB}\n", []string{
			`quorate.yaml:7: replication.factor: "9" is out of range; write 0 to 8`,
			`quorate.yaml:7: replication.timeout: "1ms" is out of range; write 100ms to 1m`,
			`quorate.yaml:7: replication.retries: "0" is out of range; write 1 to 10`,
			`quorate.yaml:7: replication.max_lag: "1h" is out of range; write 100ms to 10m`,
			`quorate.yaml:7: replication.max_record: "4MiB" is out of range; write 4KiB to 3MiB`,
		}},
		{"a strategy that is none", head + tail + "replication: {strategy: mine}\n", []string{
			`quorate.yaml:7: replication.strategy: "mine" is not built in; write async, quorum or jetstream, or name its program under plugin`,
		}},
		{"a service's that is none", head + tail + "    replication: {strategy: mine}\nreplication: {strategy: other, " + plugin + "}\n", []string{
			`quorate.yaml:7: services[0].replication.strategy: "mine" is not built in; write async, quorum or jetstream, or name its program under plugin`,
		}},
		{"built in and a plugin", head + tail + "replication: {strategy: quorum, " + plugin + "}\n", []string{
			`quorate.yaml:7: replication.strategy: "quorum" is built in, and a plugin is named too; write a name of the plugin's own, or no plugin`,
		}},
		{"jetstream without a path", head + tail + "replication: {strategy: jetstream, plugin: {settings: {urls: [\"nats://a:4222\"]}}}\n", nil},
		{"jetstream with one", head + tail + "replication: {strategy: jetstream, plugin: {path: /bin/mine, sha256: " + sum + ", settings: {urls: [\"nats://a:4222\"]}}}\n", nil},
		{"jetstream without settings", head + tail + "replication: {strategy: jetstream}\n", []string{
			`quorate.yaml:7: replication.plugin.settings: are missing; write settings: {urls: ["nats://HOST:4222"]}`,
		}},
		{"no checksum", head + tail + "replication: {strategy: mine, plugin: {path: /bin/mine}}\n", []string{
			`quorate.yaml:7: replication.plugin.sha256: is missing beside path; write sha256: what sha256sum /bin/mine prints`,
		}},
		{"no program", head + tail + "replication: {strategy: mine, plugin: {settings: {a: b}, args: [c]}}\n", []string{
			`quorate.yaml:7: replication.strategy: "mine" is not built in; write async, quorum or jetstream, or name its program under plugin`,
			`quorate.yaml:7: replication.plugin.path: is missing; write path: FILE, the plugin's executable`,
		}},
		{"settings of a built-in one", head + tail + "replication: {plugin: {settings: {a: b}}}\n", []string{
			`quorate.yaml:7: replication.plugin.settings: are for a plugin, and "async" is built in; write no settings`,
		}},
		{"options that are none", head + tail + "replication: {options: {\"a b\": c}}\n", []string{
			`quorate.yaml:7: replication.options.a b: "a b" is not a name; write 1 to 64 letters, digits, dots, hyphens and underscores such as us-east-1`,
		}},
		{"settings that are none", head + tail + "replication:\n  strategy: mine\n  plugin:\n    path: /bin/mine\n    sha256: " + sum + "\n    settings:\n      a: 0x10\n      b: &b [.inf]\n      c: *b\n      d: {e: 1, e: 2}\n      f: !!str 1\n      g: True\n", []string{
			`quorate.yaml:13: replication.plugin.settings.a: "0x10" is no value that a plugin would understand as it stands; write it in quotes: "0x10"`,
			`quorate.yaml:14: replication.plugin.settings.b[0]: ".inf" is no value that a plugin would understand as it stands; write it in quotes: ".inf"`,
			`quorate.yaml:15: replication.plugin.settings.c: uses a YAML alias; write the value itself`,
			`quorate.yaml:16: replication.plugin.settings.d.e: is given twice, first in line 16; write it once`,
			`quorate.yaml:17: replication.plugin.settings.f: has a YAML tag; write the value without "!!str"`,
			`quorate.yaml:18: replication.plugin.settings.g: "True" is no value that a plugin would understand as it stands; write it in quotes: "True"`,
		}},
		{"settings that are no section", head + tail + "replication: {strategy: mine, plugin: {path: /bin/mine, sha256: " + sum + ", settings: [a]}}\n", []string{
			`quorate.yaml:7: replication.plugin.settings: is a list, not a section of keys; write a section such as {urls: ["nats://127.0.0.1:4222"]}`,
		}},
		{"settings without end", head + tail + "replication: {strategy: mine, plugin: {path: /bin/mine, sha256: " + sum + ", settings: {a: \"" + strings.Repeat("x", 16<<10) + "\"}}}\n", []string{
			`quorate.yaml:7: replication.plugin.settings: has 16392 bytes as JSON; write at most 16KiB`,
		}},
		{"settings without bottom", head + tail + "replication: {strategy: mine, plugin: {path: /bin/mine, sha256: " + sum + ", settings: {a: " + strings.Repeat("[", 33) + strings.Repeat("]", 33) + "}}}\n", []string{
			`quorate.yaml:7: replication.plugin.settings.a` + strings.Repeat("[0]", 32) + `: is nested deeper than 32 levels; write fewer levels`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, problemsOf(t, tc.text)); diff != "" {
				t.Errorf("problems differ (-want +got):\n%s", diff)
			}
		})
	}
}

// What a service leaves out it has from the top, and what belongs to another strategy it has not.
func TestReplicationOfServices(t *testing.T) {
	sum := strings.Repeat("0f", 32)
	top := "replication: {strategy: mine, factor: 4, timeout: 2s, retries: 5, max_lag: 3s, max_record: 2MiB, options: {a: b}, plugin: {path: /bin/mine, sha256: " + sum + ", settings: {urls: [x, y], n: 1.5, deep: {on: true}}}}\n"
	whole := Replication{
		Strategy: "mine", Factor: 4, Timeout: 2 * time.Second, Retries: 5, MaxLag: 3 * time.Second, MaxRecord: 2 << 20, Options: map[string]string{"a": "b"},
		Plugin: ReplicationPlugin{Path: "/bin/mine", SHA256: sum, Settings: `{"deep":{"on":true},"n":1.5,"urls":["x","y"]}`},
	}
	but := func(change func(*Replication)) Replication {
		r := whole
		change(&r)
		return r
	}
	for _, tc := range []struct {
		name, own string
		want      Replication
	}{
		{"nothing", "", whole},
		{"no copies", "    replication: {factor: 0}\n", but(func(r *Replication) { r.Factor = 0 })},
		{"numbers", "    replication: {factor: 1, timeout: 1s, retries: 1, max_lag: 1s}\n", but(func(r *Replication) {
			r.Factor, r.Timeout, r.Retries, r.MaxLag = 1, time.Second, 1, time.Second
		})},
		{"the same strategy", "    replication: {strategy: mine, options: {}}\n", but(func(r *Replication) { r.Options = map[string]string{} })},
		{"another strategy", "    replication: {strategy: quorum}\n", but(func(r *Replication) {
			r.Strategy, r.Options, r.Plugin = "quorum", nil, ReplicationPlugin{}
		})},
		{"another plugin", "    replication: {plugin: {path: /bin/other, sha256: " + sum + "}}\n", but(func(r *Replication) {
			r.Plugin = ReplicationPlugin{Path: "/bin/other", SHA256: sum}
		})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := load(t, head+tail+tc.own+top)
			if diff := cmp.Diff(tc.want, c.ReplicationOf("tools")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(whole, c.ReplicationOf("unknown")); diff != "" {
				t.Errorf("of no service (-want +got):\n%s", diff)
			}
		})
	}
	want := Replication{Strategy: "async", Factor: 2, Timeout: 5 * time.Second, Retries: 3, MaxLag: 5 * time.Second, MaxRecord: 1 << 20}
	if diff := cmp.Diff(want, load(t, head+tail).ReplicationOf("tools")); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

// All of it but the bound of a record changes while the gateway runs.
func TestReloadOfReplication(t *testing.T) {
	was := load(t, head+tail)
	if err := CheckReload(was, load(t, head+tail+"    replication: {strategy: quorum}\nreplication: {factor: 1, timeout: 1s, options: {a: b}}\n")); err != nil {
		t.Error(err)
	}
	if err := CheckReload(was, load(t, head+tail+"replication: {max_record: 2MiB}\n")); err == nil || !strings.Contains(err.Error(), "change of replication.max_record needs a restart") {
		t.Error(err)
	}
}

// A document says for the whole fleet what no file says.
func TestReplicationDocument(t *testing.T) {
	document := func(body string) Document {
		d, err := ParseDocument(settings.Strategies, ReplicationStrategy, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	file := load(t, head+tail+"    replication: {factor: 1}\nreplication: {max_record: 2MiB}\n")
	next, misfits := file.With([]Document{document(`{"strategy":"quorum","factor":4,"timeout":"1s"}`)}, file)
	if len(misfits) > 0 {
		t.Fatal(misfits)
	}
	want := Replication{Strategy: "quorum", Factor: 1, Timeout: time.Second, Retries: 3, MaxLag: 5 * time.Second, MaxRecord: 2 << 20}
	if diff := cmp.Diff(want, next.ReplicationOf("tools")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := CheckReload(file, next); err != nil {
		t.Error(err)
	}
	if file.Replication.Strategy != "async" {
		t.Error("the file was changed")
	}
	file = load(t, head+tail+"replication: {retries: 2}\n")
	if _, misfits := file.With([]Document{document(`{"strategy":"quorum"}`)}, file); len(misfits) != 1 || !strings.Contains(misfits[0].Problems.Error(), "stands in this gateway's file at") {
		t.Errorf("%+v", misfits)
	}
	file = load(t, head+tail+"    replication: {strategy: mine, plugin: {path: /p, sha256: "+strings.Repeat("0f", 32)+"}}\n")
	if next, misfits := file.With([]Document{document(`{"options":{"a":"b"}}`)}, file); len(misfits) > 0 || next.ReplicationOf("tools").Options != nil {
		t.Errorf("a strategy of the service's own has options of another: %+v", misfits)
	}
}
