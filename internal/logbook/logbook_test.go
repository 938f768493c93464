package logbook

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

func TestBook(t *testing.T) {
	var b Book
	var writers sync.WaitGroup
	for i := range 50 {
		writers.Go(func() { fmt.Fprintf(&b, "line %02d\n", i) })
		_ = b.String()
	}
	writers.Wait()
	if n := len(b.String()); n != 50*len("line 00\n") {
		t.Errorf("%d bytes", n)
	}
	if found := b.With("line 4"); len(found) != 10 || !slices.Contains(found, "line 49\n") {
		t.Errorf("%q", found)
	}
}
