package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// adminCommands returns the command lines of quorate admin in a document: those of its shell blocks, and those in the text
// that name their arguments.
func adminCommands(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?m)(?:^ *|`)quorate admin ([^\n`#]+)").FindAllStringSubmatch(text, -1) {
		all = append(all, strings.TrimSpace(m[1]))
	}
	return all
}

// TestDocumentedCommandsExist: in an outage nobody should find out that a runbook's command is none.
func TestDocumentedCommandsExist(t *testing.T) {
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range append(paths, "../../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range adminCommands(string(text)) {
			found++
			if err := parses(append([]string{"admin"}, strings.Fields(line)...)); err != nil {
				t.Errorf("%s: quorate admin %s: %v", filepath.Base(path), line, err)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands found", found)
	}
	for _, bad := range []string{"admin statsu", "admin force-leader", "admin force-leader us-east --attest", "admin voters add"} {
		if parses(strings.Fields(bad)) == nil {
			t.Errorf("%s counts as a command", bad)
		}
	}
}

// parses returns what is wrong with a command line, without running it.
func parses(args []string) error {
	cmd, rest, err := newRootCommand().Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
