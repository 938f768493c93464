package fleet

import "github.com/quorate/quorate/internal/chaos/history"

// Effects are what all nodes executed, in the order of each node's journal. agent names the gateway that a call was
// made through.
func (f *Fleet) Effects(agent func(call string) string) ([]history.Effect, error) {
	all, err := f.commons.effects(f.cfg.Zero, agent)
	if err != nil {
		return nil, err
	}
	for _, m := range f.members {
		for _, n := range m.nodes {
			// Nobody else reaches this node.
			own, err := n.effects(f.cfg.Zero, func(string) string { return m.Name })
			if err != nil {
				return nil, err
			}
			all = append(all, own...)
		}
	}
	return all, nil
}
