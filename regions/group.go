package regions

// Group is a set of the groups that a node belongs to by what it was verified to offer. A request goes only to
// nodes whose groups fit it.
type Group uint8

const (
	// ToolServers offer tools.
	ToolServers Group = 1 << iota
	// ResourceServers offer resources.
	ResourceServers
	// PromptServers offer prompts.
	PromptServers
	// AllServers is every verified node.
	AllServers
	// AllTransports speak every era of the protocol's transport, legacy and modern.
	AllTransports
)

var groupWords = [...]string{"tool_servers", "resource_servers", "prompt_servers", "all_servers", "all_transports"}

// Words returns the groups' names, in the order above.
func (g Group) Words() []string {
	var words []string
	for i, word := range groupWords {
		if g&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return words
}

// GroupsOf returns the groups of a verified node, none for one that was not.
func GroupsOf(f *Facts) Group {
	if f == nil {
		return 0
	}
	g := AllServers
	for _, have := range f.Groups {
		for i, word := range groupWords[:3] {
			if have == word {
				g |= 1 << i
			}
		}
	}
	if f.Eras.Has(Legacy | Modern) {
		g |= AllTransports
	}
	return g
}
