package main

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/config"
)

const intro = `# Configuration

<!-- Generated from internal/config by go generate; do not edit. -->

A gateway reads one YAML file, ` + "`quorate serve --config FILE`" + `. The file is strict: a key that is not
listed here is an error, and so are duplicate keys, YAML aliases, tags and merge keys. A key left
out or left empty has its default.

- ` + "`quorate check --config FILE`" + ` prints every problem at once, each as
  ` + "`FILE:LINE: KEY: problem; write …`" + `, and exits with 2 if there is any.
- Every single value outside a list is also an environment variable, named in the tables.
  The environment beats the file. A ` + "`QUORATE_*`" + ` variable that is not listed is an error.
- Secrets are never in the file itself, only in files that it or the environment names. Relative
  file names start from the directory of the configuration file.
- The file is read again when it changes and on SIGHUP. A bad file is refused as a whole and the
  old configuration keeps serving; so is a file that changes a key marked "restart" (in a service:
  of one that was there before).
- Durations are numbers with a unit (ns, us, ms, s, m, h), such as 250ms or 1h30m. Sizes are whole
  numbers with B, KiB, MiB or GiB.
- Editors can check the file against [quorate.schema.json](quorate.schema.json).

## Example

`

func markdown(keys []config.Key, example string) string {
	var b strings.Builder
	b.WriteString(intro)
	fmt.Fprintf(&b, "```yaml\n%s```\n", example)
	b.WriteString("\n## Top level\n\n")
	table(&b, keys)
	sections(&b, keys)
	return b.String()
}

// sections writes a chapter for every section and list, in the order of the keys.
func sections(b *strings.Builder, keys []config.Key) {
	for i := range keys {
		k := &keys[i]
		if len(k.Keys) == 0 {
			continue
		}
		path := k.Path
		switch k.Kind {
		case config.KindList:
			path += "[]"
		case config.KindMap:
			path += ".NAME"
		}
		fmt.Fprintf(b, "\n## %s\n\n%s%s\n\n", path, k.Doc, entries(k))
		table(b, k.Keys)
		sections(b, k.Keys)
	}
}

func entries(k *config.Key) string {
	switch {
	case k.OneOf:
		return " Each entry has exactly one of these keys."
	case k.Kind == config.KindList && k.Min != "":
		return " At least one, at most " + k.Max + "."
	case k.Kind == config.KindList, k.Kind == config.KindMap:
		return " At most " + k.Max + "."
	}
	return ""
}

func table(b *strings.Builder, keys []config.Key) {
	b.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	for i := range keys {
		k := &keys[i]
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.Name, value(k), standard(k), meaning(k))
	}
}

// value says what may be written.
func value(k *config.Key) string {
	switch k.Kind {
	case config.KindSection:
		return "section"
	case config.KindList:
		return "list"
	case config.KindTexts:
		return "list of texts"
	case config.KindMap:
		return "sections by name"
	case config.KindTree:
		return "any keys"
	case config.KindWords:
		return map[string]string{"glob": "patterns", "name": "names", "option": "texts"}[k.Form] + " by name"
	case config.KindSwitch:
		return "`true` or `false`"
	case config.KindNumber, config.KindDuration, config.KindSize:
		return k.Min + " to " + k.Max
	}
	if k.Enum != nil {
		return "`" + strings.Join(k.Enum, "`, `") + "`"
	}
	return map[string]string{
		"name": "name", "address": "HOST:PORT", "url": "URL", "path": "URL path",
		"file": "file", "executable": "file", "sha256": "checksum", "lease": "`auto`, or 100ms to 1m", "directory": "directory", "glob": "pattern",
	}[k.Form]
}

func standard(k *config.Key) string {
	switch {
	case k.Unless != "":
		return "required unless `" + strings.Replace(k.Unless, "=", ": ", 1) + "`"
	case k.Required:
		return "required"
	case k.Default != "":
		return "`" + k.Default + "`"
	}
	return ""
}

func meaning(k *config.Key) string {
	doc := strings.ReplaceAll(k.Doc, "|", `\|`)
	if k.Kind == config.KindTree || k.Kind == config.KindTexts || k.Kind == config.KindWords {
		doc += " At most " + k.Max + "."
	}
	if k.Env != "" {
		doc += " `" + k.Env + "`"
	}
	if k.Restart {
		doc += " (restart)"
	}
	return strings.ReplaceAll(doc, "*", `\*`)
}
