package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/builtin"
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

// TestRunbookReplacesAVoter: after each step of the runbook the voters have a rule, so that no step is refused.
func TestRunbookReplacesAVoter(t *testing.T) {
	text, err := os.ReadFile("../../docs/authority-runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## One of three voters is lost")
	section, _, _ = strings.Cut(section, "\n## ")
	voters, changes := []string{"gw-1", "gw-2", "gw-3"}, 0
	for _, line := range adminCommands(section) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "voters" {
			continue
		}
		changes++
		if voters = append(voters, words[2]); words[1] == "remove" {
			voters = slices.DeleteFunc(voters, func(v string) bool { return v == words[2] })
		}
		if err := ruled(voters); err != nil {
			t.Errorf("quorate admin %s is refused: %v", line, err)
		}
	}
	if changes < 2 || len(voters) != 3 {
		t.Errorf("%d changes leave %v", changes, voters)
	}
}

// ruled returns why voters of regions of their own have no rule under the default strategy.
func ruled(voters []string) error {
	var roster strategies.Roster
	for i, name := range voters {
		roster = append(roster, strategies.Gateway{Name: name, Region: "region-" + name, Role: strategies.Voter, JoinIndex: uint64(i + 1)})
	}
	s, _ := builtin.Find("winner_takes_all")
	_, _, err := lossesOf(s, strategies.Input{Roster: roster})
	return err
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
