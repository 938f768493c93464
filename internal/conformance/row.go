// Package conformance runs the official MCP conformance suite against go-sdk's everything-server,
// directly and through a gateway, and compares every check. It must not know how a gateway works.
package conformance

// Row is one way to run the suite, with the kind of node it is meant for.
type Row struct {
	Name string
	// Package is the suite's npm package in test/npm: conformance-stable is 0.1.16, conformance-alpha
	// 0.2.0-alpha.12.
	Package string
	Args    []string
	// Stateless nodes speak the modern era; the others keep legacy sessions.
	Stateless bool
	// Figures are what the suite says of the node alone, passed/failed. Other figures mean that the
	// comparison starts from something else than the reference.
	Figures string
}

// Rows returns the rows of the protocol notes. The first of them has two suites, so there are five.
// The 30 failures are the tasks extension, which go-sdk does not have and the suite does not score.
func Rows() []Row {
	const stable, alpha = "conformance-stable", "conformance-alpha"
	return []Row{
		{Name: "0.1.16 active", Package: stable, Args: []string{"--suite", "active"}, Figures: "40/0"},
		{Name: "0.1.16 all", Package: stable, Args: []string{"--suite", "all"}, Figures: "44/0"},
		{Name: "requirements 2025-11-25", Package: alpha, Args: []string{"--requirements", "2025-11-25"}, Figures: "82/0"},
		{Name: "requirements 2026-07-28", Package: alpha, Args: []string{"--requirements", "2026-07-28"}, Stateless: true, Figures: "165/30"},
		{Name: "all 2026-07-28", Package: alpha, Args: []string{"--suite", "all", "--spec-version", "2026-07-28"}, Stateless: true, Figures: "153/0"},
	}
}
