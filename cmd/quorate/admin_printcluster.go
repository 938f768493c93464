package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/quorate/quorate/internal/admin"
)

func printStatus(w io.Writer, body []byte) error {
	b, err := understood[both](body)
	if err != nil {
		return err
	}
	if b.Cluster == nil || string(b.Cluster) == "null" {
		fmt.Fprintln(w, "no control group here: this gateway decides alone")
	} else if err := printCluster(w, b.Cluster); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printServices(w, b.Status)
}

// printCluster writes the grade first, then what it stands on.
func printCluster(w io.Writer, body []byte) error {
	c, err := understood[admin.Cluster](body)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "cluster\t%s, %d of %d up\n", c.Grade, c.NodesUp, c.Nodes)
	for _, r := range c.Reasons {
		fmt.Fprintf(t, "\t- %s\n", r)
	}
	fmt.Fprintf(t, "leader\t%s, term %d\n", cmp.Or(c.Leader, "none"), c.Term)
	fmt.Fprintf(t, "gate\t%s\npartition\t%s\n", gateWords(c), yes(c.Partition))
	fmt.Fprintf(t, "rule\t%s\nplugin\t%s\n", ruleWords(c.Rule), pluginWords(c.Plugin))
	if f := c.LastFailover; f != nil {
		fmt.Fprintf(t, "failover\t%.0f ms, at %s\n", f.TookMS, moment(f.At))
	}
	fmt.Fprintf(t, "log\tapplied %d of %d, generation %d\n", c.Applied, c.Commit, c.Generation)
	for _, f := range c.Forced {
		fmt.Fprintf(t, "forced\tat %s, %s; rule version %d\n", f.At, f.By, f.RuleVersion)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printMembers(w, c, func(admin.Member) bool { return true })
}

func gateWords(c admin.Cluster) string {
	if c.Gate.Open {
		return "open at " + c.Gateway
	}
	return fmt.Sprintf("closed at %s (%s): %s", c.Gateway, c.Minority, c.Gate.Reason)
}

func ruleWords(r admin.Rule) string {
	words := fmt.Sprintf("version %d: %s (%s)", r.Version, cmp.Or(r.Words, "none"), cmp.Or(r.Strategy, "no strategy"))
	if r.Changing {
		words += ", being changed: the one before is needed too"
	}
	return words
}

func pluginWords(p admin.Plugin) string {
	words := fmt.Sprintf("%s %s, restarts: %d", cmp.Or(p.Name, "none"), p.State, p.Restarts)
	if p.Cause != "" {
		words += ": " + p.Cause
	}
	return words
}

func printVoters(w io.Writer, body []byte) error {
	c, err := understood[admin.Cluster](body)
	if err != nil {
		return err
	}
	return printMembers(w, c, func(m admin.Member) bool { return m.Role != admin.RoleMember })
}

func printMembers(w io.Writer, c admin.Cluster, which func(admin.Member) bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GATEWAY\tREGION\tROLE\tSTATE\tRTT\tGATE\tINCARNATION\tRULE\tLAG\tVERSION")
	for _, m := range c.Gateways {
		if !which(m) {
			continue
		}
		name, rtt := m.Gateway, fmt.Sprintf("%.1f ms", m.RTTMS)
		if !m.Up {
			rtt = "-"
		}
		if m.Gateway == c.Gateway {
			name, rtt = m.Gateway+" (here)", "-"
		}
		if m.Gateway == c.Leader {
			name += " (leads)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%.0f ms\t%s\n", name, m.Region, m.Role, memberState(m), rtt, m.Gate, m.Incarnation, m.RuleVersion, m.LagMS, m.Version)
	}
	return t.Flush()
}

func memberState(m admin.Member) string {
	switch {
	case m.Fenced:
		return "fenced"
	case !m.Up && m.Suspected:
		return "down, suspected"
	case !m.Up:
		return "down"
	case m.Suspected:
		return "up, suspected"
	}
	return "up"
}

func printServices(w io.Writer, body []byte) error {
	s, err := understood[admin.Status](body)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "gateway %s, region %s, %s, table %d\n", s.Gateway, s.Region, cmp.Or(s.Version, "unversioned"), s.TableVersion)
	for _, p := range s.Problems {
		fmt.Fprintf(w, "problem: %s\n", p)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tPATH\tSESSIONS\tNODES\tHEALTHY")
	for _, service := range s.Services {
		healthy := 0
		for _, n := range service.Nodes {
			if n.State == "healthy" {
				healthy++
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\n", service.Name, service.Path, service.Sessions, len(service.Nodes), healthy)
	}
	return t.Flush()
}

func printAgreement(w io.Writer, a admin.Agreement) error {
	if a.Agreed {
		fmt.Fprintf(w, "all gateways agree up to entry %d\n", a.Index)
	} else {
		fmt.Fprintf(w, "not all gateways agree up to entry %d\n", a.Index)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GATEWAY\tREACHED\tDIGEST\tAGREES\tPROBLEM")
	for _, r := range a.Replies {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.Gateway, yes(r.Reached), cmp.Or(r.Digest, "-"), yes(r.Agrees), r.Problem)
	}
	if err := t.Flush(); err != nil || len(a.Copies) == 0 {
		return err
	}
	if err := printCopies(w, a.Copies); err != nil {
		return err
	}
	for _, d := range a.Dropped {
		what := fmt.Sprintf("%d changes", d.Changes)
		if d.Deleted {
			what = "the end"
		}
		fmt.Fprintf(w, "dropped: %s of session %s of %s, made by %s; %s had claimed it\n", what, d.Session, d.Service, d.Gateway, d.Owner)
	}
	if a.DroppedMore > 0 {
		fmt.Fprintf(w, "dropped: changes of %d more sessions, which are only counted\n", a.DroppedMore)
	}
	return nil
}

// printCopies shows what comparing the copies of sessions gave.
func printCopies(w io.Writer, all []admin.ComparedCopies) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "COPIES AT\tRECORDS\tAGREE\tDIFFER\tPROBLEM")
	for _, c := range all {
		var words []string
		for _, d := range c.Differ {
			words = append(words, fmt.Sprintf("with %s: %d missing or older here, %d there", d.With, d.Missing, d.Ahead))
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", c.Gateway, c.Records, yes(c.Agrees), cmp.Or(strings.Join(words, "; "), "-"), c.Problem)
	}
	return t.Flush()
}

func printEvents(w io.Writer, body []byte) error {
	all, err := understood[admin.Events](body)
	if err != nil {
		return err
	}
	if all.Missed > 0 {
		fmt.Fprintf(w, "%d older events are forgotten\n", all.Missed)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SEQ\tAT\tKIND\tGATEWAY\tTEXT")
	for _, e := range all.Events {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", e.Seq, e.At.UTC().Format("2006-01-02T15:04:05.000Z"), e.Kind, cmp.Or(e.Gateway, "-"), e.Text)
	}
	return t.Flush()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
