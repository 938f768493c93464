package control

import "testing"

// Where generations begin: each above the one before, whatever its clock said, with room between; and of one generation
// the one that was forced later.
func TestBeginning(t *testing.T) {
	const early, late, far = "2026-11-29T20:00:00Z", "2026-11-29T20:00:01.5Z", "2400-01-01T00:00:00Z"
	for _, c := range []struct {
		name     string
		low, top uint64
		room     uint64
	}{
		{"the next generation", beginning(2, early), beginning(3, early), 1 << 42},
		{"the next one, by a clock that is wrong", beginning(2, far), beginning(3, "1970-01-01T00:00:00Z"), 1 << 42},
		{"the next one, at no time", beginning(2, far), beginning(3, "yesterday"), 1 << 42},
		{"the same one, a second later", beginning(2, early), beginning(2, late), 1 << secondBits},
		{"the first forced one, after any log of the first", 1 << generationBits, beginning(2, ""), 1 << 42},
		{"what JSON holds as a whole number, after the last", beginning(1001, far), 1 << 53, 1 << 42},
	} {
		if c.top < c.low || c.top-c.low < c.room {
			t.Errorf("%s: from %d to %d, room for %d is wanted", c.name, c.low, c.top, c.room)
		}
	}
}
