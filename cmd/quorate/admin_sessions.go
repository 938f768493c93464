package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/admin"
)

// sessions is quorate admin sessions: all of them in numbers, or one.
func (o *operator) sessions() *cobra.Command {
	var dropped bool
	cmd := &cobra.Command{
		Use:   "sessions [ID]",
		Short: "Show how sessions outlive their gateways: owners, copies, lag; or one session, by its id or its hash",
		Long: "Without an argument: how far the copies of this gateway's sessions are, and who owns those that it knows of. With\n" +
			"an id, or the hash by which logs name a session: its owner, ballot, copies, status and lag, as its owner sees it.\n" +
			"With --dropped: the sessions whose last changes this gateway had to drop, because another one had claimed them\n" +
			"while it was cut off.",
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&dropped, "dropped", false, "list the sessions whose last changes were dropped")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, show := "/v1/sessions", printSessions
		switch {
		case dropped && len(args) > 0:
			return errors.New("--dropped lists all: leave the id out")
		case dropped:
			path, show = "/v1/sessions/dropped", printDropped
		case len(args) > 0:
			path, show = "/v1/sessions/"+url.PathEscape(args[0]), printSession
		}
		answer, err := o.ask(cmd, request{method: http.MethodGet, path: path})
		if err != nil {
			return err
		}
		return o.print(cmd, answer, show)
	}
	return cmd
}

func printSessions(w io.Writer, body []byte) error {
	l, err := understood[admin.SessionList](body)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: sessions outlive it: %s; lag %.1f ms\n", l.Gateway, yes(l.Kept), l.LagMS)
	for _, r := range l.Reasons {
		fmt.Fprintf(w, "  %s\n", r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "OWN RECORDS\tSYNCED\tPENDING\tSYNCING\tFAILED")
	s := l.States
	fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\n", s["synced"]+s["pending"]+s["syncing"]+s["failed"], s["synced"], s["pending"], s["syncing"], s["failed"])
	fmt.Fprintln(t, "OWNER\tSESSIONS KNOWN HERE")
	for _, one := range l.Owners {
		fmt.Fprintf(t, "%s\t%d\n", one.Gateway, one.Sessions)
	}
	if l.Unclaimed > 0 {
		fmt.Fprintf(t, "ended, not claimed yet\t%d\n", l.Unclaimed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%d records here, %d bytes; %d records, %d bytes in the control group\n", l.Records, l.Bytes, l.Committed, l.CommittedBytes)
	fmt.Fprintf(w, "since the start: %d claimed, %d released, %d requests relayed, %d lost, %d with dropped changes\n", l.Claims, l.Releases, l.Relays, l.Lost, l.Dropped)
	return nil
}

func printSession(w io.Writer, body []byte) error {
	s, err := understood[admin.Session](body)
	if err != nil {
		return err
	}
	state := cmp.Or(s.State, "unknown: its owner could not be asked")
	if s.Deleted {
		state = "deleted"
	}
	var notes []string
	if s.Ended {
		notes = append(notes, "its life has ended: whoever is asked for the session claims it")
	}
	fmt.Fprintf(w, "session %s of %s, %s, as %s says\n", s.Session, s.Service, s.Strategy, s.Source)
	fmt.Fprintf(w, "owner   %s (%s) %s\n", s.Owner, s.Life, strings.Join(notes, "; "))
	fmt.Fprintf(w, "ballot  %d, version %d\n", s.Ballot, s.Version)
	if s.Revision > 0 {
		fmt.Fprintf(w, "store   revision %d\n", s.Revision)
	}
	fmt.Fprintf(w, "status  %s, lag %.1f ms\n", state, s.LagMS)
	fmt.Fprintf(w, "minted  %s by %s, over at %s\n", moment(s.Minted), s.Minter, moment(s.Until))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "COPY AT\tUP\tNEWEST\tBALLOT\tVERSION")
	slices.SortFunc(s.Copies, func(a, b admin.Copy) int { return strings.Compare(a.Gateway, b.Gateway) })
	for _, c := range s.Copies {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\n", c.Gateway, yes(c.Up), yes(c.Newest), c.Ballot, c.Version)
	}
	return t.Flush()
}

func printDropped(w io.Writer, body []byte) error {
	l, err := understood[admin.DroppedList](body)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s has dropped the last changes of %d sessions since it was started\n", l.Gateway, uint64(len(l.Dropped))+l.More)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SESSION\tSERVICE\tCHANGES\tOWNER NOW\tAT")
	for _, d := range l.Dropped {
		what := fmt.Sprint(d.Changes)
		if d.Deleted {
			what += " (its end)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", d.Session, d.Service, what, d.Owner, moment(d.At))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if l.More > 0 {
		fmt.Fprintf(w, "and %d more, which are only counted\n", l.More)
	}
	return nil
}
