package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Status says how bad a row is.
type Status string

const (
	// OK needs nobody.
	OK Status = "ok"
	// Warn serves, but not as it should.
	Warn Status = "warn"
	// Fail does not serve, or will not.
	Fail Status = "fail"
)

// Check is one row: what was examined, who was asked, the answer, and what the reader should do about it. Each is one
// line of at most 200 bytes without runs of spaces; Do is "-" where there is nothing to do.
type Check struct {
	Status Status `json:"status"`
	What   string `json:"what"`
	Asked  string `json:"asked"`
	Got    string `json:"got"`
	Do     string `json:"do"`
}

// Report is everything that was found out. Status is that of the worst check.
type Report struct {
	Status Status  `json:"status"`
	Checks []Check `json:"checks"`
}

func newReport(checks []Check) Report {
	worst := OK
	for _, c := range checks {
		if c.Status == Fail || c.Status == Warn && worst == OK {
			worst = c.Status
		}
	}
	return Report{Status: worst, Checks: slices.Clip(checks)}
}

// maxCell bounds a cell, in bytes.
const maxCell = 200

// cell makes one bounded line of a text that may come from outside; "-" of none.
func cell(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		return "-"
	}
	return clip(s, maxCell)
}

// clip cuts s to n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.TrimRight(strings.ToValidUTF8(s[:n-3], ""), " ") + "..."
}

// short is a duration as people read it: three digits are enough.
func short(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	case d >= time.Minute:
		return d.Truncate(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond)) // String would say µs, which not every terminal can
}
