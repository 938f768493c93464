package verify

import (
	"maps"
	"sync"

	"github.com/quorate/quorate/regions"
)

// sharedTools keeps one map for all nodes that list the same tools, as those of one release do: ten thousand
// nodes would otherwise hold ten thousand, and a table would have to read them all.
type sharedTools struct {
	mu     sync.Mutex
	recent [8]map[string]regions.Tool
	next   int
}

// of returns a map equal to tools; neither may be changed afterwards.
func (s *sharedTools) of(tools map[string]regions.Tool) map[string]regions.Tool {
	if tools == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, have := range s.recent {
		if have != nil && maps.Equal(have, tools) {
			return have
		}
	}
	s.recent[s.next] = tools
	s.next = (s.next + 1) % len(s.recent)
	return tools
}
