package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/internal/admin"
)

// understood reads an answer.
func understood[T any](body []byte) (T, error) {
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		return v, fmt.Errorf("the answer is not understood: %w", err)
	}
	return v, nil
}

func printRegions(w io.Writer, body []byte) error {
	all, err := understood[admin.Regions](body)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REGION\tSTATE\tSHARE\tCLASS\tRTT\tIN FLIGHT\tSINCE\tCAUSE")
	for _, r := range all.Regions {
		name, rtt := r.Name, fmt.Sprintf("%.1f ms", r.RTTMS)
		if r.Local {
			name, rtt = r.Name+" (here)", "-"
		} else if !r.Measured {
			rtt += " (seed)"
		}
		fmt.Fprintf(t, "%s\t%s\t%.0f %%\t%s\t%s\t%d\t%s\t%s\n", name, r.State, 100*r.Share, r.Class, rtt, r.InFlight, moment(r.Since), r.Cause)
	}
	return t.Flush()
}

func printRegion(w io.Writer, body []byte) error {
	r, err := understood[admin.Region](body)
	if err == nil {
		fmt.Fprintf(w, "%s: %s (%s), share %.0f %%\n", r.Name, r.State, r.Cause, 100*r.Share)
	}
	return err
}

func printNodes(w io.Writer, body []byte) error {
	all, err := understood[admin.Nodes](body)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tREGION\tNODE\tSTATE\tERA\tLATENCY\tIN FLIGHT\tBREAKER\tGROUPS\tURL")
	for _, n := range all.Nodes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1f ms\t%d\t%s\t%s\t%s\n", n.Service, n.Region, n.ID, n.State, n.Era, n.LatencyMS, n.InFlight, n.Breaker, strings.Join(n.Groups, ","), n.URL)
	}
	return t.Flush()
}

func moment(t admin.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
