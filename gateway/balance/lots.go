package balance

import "math"

// lots draws members by weight in constant time (Walker's alias method, in Vose's form).
type lots struct {
	member []int32  // index into Selector.members
	keep   []uint32 // chance, of 2^32, that a lot is its own member's
	alias  []int32  // whose it is otherwise
}

func newLots(members []Member, which []int32) lots {
	n := len(which)
	if n == 0 {
		return lots{}
	}
	l := lots{member: which, keep: make([]uint32, n), alias: make([]int32, n)}
	total := 0.0
	for _, at := range which {
		total += float64(max(members[at].Weight, 1))
	}
	part := make([]float64, n) // of an even share
	var small, large []int32
	for i, at := range which {
		part[i] = float64(max(members[at].Weight, 1)) * float64(n) / total
		if part[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, g := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		l.keep[s], l.alias[s] = uint32(part[s]*(1<<32-1)), which[g]
		if part[g] -= 1 - part[s]; part[g] < 1 {
			large = large[:len(large)-1]
			small = append(small, g)
		}
	}
	for _, rest := range [...][]int32{small, large} { // whole but for rounding
		for _, i := range rest {
			l.keep[i], l.alias[i] = 1<<32-1, which[i]
		}
	}
	return l
}

// draw returns a member by 64 random bits.
func (l *lots) draw(rnd uint64) int32 {
	i := scale(rnd, uint64(len(l.member)))
	if mix(rnd)&math.MaxUint32 <= uint64(l.keep[i]) {
		return l.member[i]
	}
	return l.alias[i]
}
