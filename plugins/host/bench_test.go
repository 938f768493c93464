package host

import (
	"log/slog"
	"testing"
)

// BenchmarkDecide is one decision of a process, there and back, admitted.
func BenchmarkDecide(b *testing.B) {
	cfg := config(b, "good")
	cfg.Log = slog.New(slog.DiscardHandler)
	p, err := Launch(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Decide(b.Context(), three()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLaunch is a process from its start to its end.
func BenchmarkLaunch(b *testing.B) {
	cfg := config(b, "good")
	cfg.Log = slog.New(slog.DiscardHandler)
	for b.Loop() {
		p, err := Launch(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
}
