package config

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// eachKey visits every key of the file, sections and lists included.
func eachKey(keys []Key, visit func(k *Key)) {
	for i := range keys {
		visit(&keys[i])
		eachKey(keys[i].Keys, visit)
	}
}

func TestEveryKeyIsDescribedSoundly(t *testing.T) {
	count := 0
	eachKey(Keys(), func(k *Key) {
		count++
		if !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%s: the sentence %q does not end", k.Path, k.Doc)
		}
		if k.Name != strings.ToLower(k.Name) {
			t.Errorf("%s: not lower case", k.Path)
		}
		switch k.Kind {
		case KindNumber, KindDuration, KindSize:
			bounds(t, k)
		case KindSection, KindList:
		default:
			if f := forms(k.Form); k.Form != "" && f == nil {
				t.Errorf("%s: no form %q", k.Path, k.Form)
			}
		}
		if k.Default != "" {
			good(t, k, k.Default)
		}
		if k.Example != "" && k.Kind != KindSection && k.Kind != KindList {
			good(t, k, k.Example)
		}
	})
	if count < 60 {
		t.Errorf("only %d keys", count)
	}
}

// bounds checks that a range is there and ends where it says.
func bounds(t *testing.T, k *Key) {
	t.Helper()
	good(t, k, k.Min)
	good(t, k, k.Max)
	for _, text := range []string{"-1", "99999999999999999", "99999h", "999999GiB", "", "x"} {
		if _, f := k.parse(text); f == nil {
			t.Errorf("%s: takes %q", k.Path, text)
		}
	}
}

func good(t *testing.T, k *Key, text string) {
	t.Helper()
	if _, f := k.parse(text); f != nil {
		t.Errorf("%s: %q: %s; write %s", k.Path, text, f.what, f.write)
	}
}

func TestEnvironmentNamesAreUnique(t *testing.T) {
	seen := map[string]string{}
	eachKey(Keys(), func(k *Key) {
		if k.Env == "" {
			return
		}
		if other := seen[k.Env]; other != "" {
			t.Errorf("%s names %s and %s", k.Env, other, k.Path)
		}
		seen[k.Env] = k.Path
	})
	for _, name := range []string{"QUORATE_NAME", "QUORATE_DATA_DIR", "QUORATE_ADMIN_ADDRESS", "QUORATE_LISTEN_TLS_CERT_FILE", "QUORATE_LISTEN_MAX_BODY"} {
		if seen[name] == "" {
			t.Errorf("no %s", name)
		}
	}
}

func TestEveryVariableBeatsTheFile(t *testing.T) {
	eachKey(Keys(), func(k *Key) {
		if k.Env == "" {
			return
		}
		value := other(k)
		r := newReport("f")
		c := parse(r, []byte(head+tail), []string{k.Env + "=" + value})
		if err := r.problems(); err != nil && !strings.Contains(err.Error(), "missing beside") && !strings.Contains(err.Error(), "without TLS") &&
			!strings.Contains(err.Error(), "be served with") && !strings.Contains(err.Error(), "only a part of") && !strings.Contains(err.Error(), "is not more than") &&
			!strings.Contains(err.Error(), "consul") && !strings.HasSuffix(k.Path, ".plugin.sha256") {
			t.Fatalf("%s=%s: %v", k.Env, value, err)
		}
		want, _ := k.parse(value)
		if got := at(c, k.Path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s=%s set %s to %v", k.Env, value, k.Path, got)
		}
	})
}

// other is a good value that is not the default.
func other(k *Key) string {
	switch {
	case k.Enum != nil:
		return k.Enum[0]
	case k.Form == "address":
		return "127.0.0.1:4444"
	case k.Max != "":
		return k.Max
	case k.Kind == KindSwitch:
		return strconv.FormatBool(k.Default != "true")
	}
	return k.Example
}

// at returns the value at a path without lists.
func at(c *Config, path string) any {
	v, keys := reflect.ValueOf(c).Elem(), Keys()
	for name := range strings.SplitSeq(path, ".") {
		for i := range keys {
			if keys[i].Name == name {
				v, keys = v.Field(keys[i].index), keys[i].Keys
				break
			}
		}
	}
	return v.Interface()
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "17": 17, "17B": 17, "4KiB": 4096, "4 MiB": 4 << 20, "8589934591GiB": 8589934591 << 30,
	} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
		if again, err := ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%s: written as %s, read as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "B", "-1", "1.5MiB", "4MB", "4mib", "8589934592GiB", "99999999999999999999", "+1", "1_000"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func TestForms(t *testing.T) {
	for form, cases := range map[string]struct{ good, bad []string }{
		"name":    {[]string{"a", "us-east-1", "GW_1.x"}, []string{"-a", "a b", "ä", strings.Repeat("a", 65), "a/b"}},
		"address": {[]string{":0", "127.0.0.1:80", "[::1]:1", "gw.example:65535", "localhost:0"}, []string{"80", "a", "a:", "a:b", "a:65536", "a:-1", "a:080", "::1:80", "a b:1", "http://a:1"}},
		"url":     {[]string{"http://h", "https://h:1/a?b=c", "http://[::1]:1/mcp"}, []string{"h", "ftp://h", "http://", "http://:1", "http://h:0", "http://h:", "http://h:x", "http://u:p@h", "http://h#a", "http://h#", "http:h", "//h", "http://a b/"}},
		"path":    {[]string{"/", "/mcp", "/a/b.c-d_e~f"}, []string{"mcp", "/mcp/", "//", "/a/../b", "/a b", "/a?b", "/a#b", "/ä", "/%41", "/{x}", "/" + strings.Repeat("a", 256)}},
		"glob":    {[]string{"*", "a*b", "file:///*", "[a-z]?", `\*`}, []string{"[", `a\`, strings.Repeat("a", 1025)}},
		"host":    {[]string{"*", "a.example", "127.0.0.1", "::1"}, []string{"a:1", "[::1]:1", "http://a", "a/b", "*.a", "-a", "a..b"}},
		"origin":  {[]string{"*", "https://a.example", "http://localhost:3000", "vscode-webview://abc", "HTTPS://A"}, []string{"a", "a.example", "https://a/", "https://a/b", "https://u@a", "null x", "https://a?b"}},
		"file":    {[]string{"a", "/a b"}, []string{"a\x00b", strings.Repeat("a", 4097)}},
	} {
		check := forms(form)
		for _, s := range cases.good {
			if f := check(s); f != nil {
				t.Errorf("%s: %q: %s", form, s, f.what)
			}
		}
		for _, s := range cases.bad {
			if f := check(s); f == nil {
				t.Errorf("%s: takes %q", form, s)
			}
		}
	}
}
