package plugintest

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/strategies"
)

// maxList is how many names are written out.
const maxList = 12

// list writes names out, as many as are of use.
func list(names []string) string {
	if len(names) <= maxList {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxList], ", "), len(names)-maxList)
}

// Print writes the report for people: a line for every case, and under those that fail what is wrong.
func (r Report) Print(w io.Writer) {
	for _, c := range r.Results {
		switch {
		case len(c.Problems) > 0:
			fmt.Fprintf(w, "FAIL    %s\n", c.Case.Name)
		case c.Refused != "":
			fmt.Fprintf(w, "refuses %s\n", c.Case.Name)
			indent(w, strings.TrimPrefix(c.Refused, strategies.ErrRefused.Error()+": "))
		default:
			fmt.Fprintf(w, "ok      %s: %s, in %s\n", c.Case.Name, short(c.Rule), c.Took.Round(10*time.Microsecond))
		}
		for _, p := range c.Problems {
			indent(w, p)
		}
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, "FAIL    as a whole")
		indent(w, p)
	}
}

func indent(w io.Writer, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(w, "        %s\n", line)
	}
}

// short is the text of a rule, cut.
func short(r strategies.Rule) string {
	text := r.String()
	if len(text) > 100 {
		return text[:100] + "..."
	}
	return text
}
