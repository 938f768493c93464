package fleet

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/quorate/quorate/internal/chaos/history"
)

// What a gateway logs as it applies the entries by which a rule changes. Where these words change there are no sealings,
// and a run with a change that settled says so.
const (
	changeBegan    = "control group: rule change began"
	changeFinished = "control group: rule change finished"
)

// Sealings are the changes of the rule that some gateway has seen to their end, out of the logs, in the log's order.
func (f *Fleet) Sealings() []history.Sealing {
	began, finished := map[string]uint64{}, map[string]uint64{} // by version
	for _, m := range f.members {
		text, err := os.ReadFile(filepath.Join(f.cfg.Dir, m.Name+".log"))
		if err != nil {
			continue // it never ran
		}
		for line := range bytes.Lines(text) {
			var l struct {
				Msg   string
				Index uint64
				What  string
			}
			if json.Unmarshal(line, &l) != nil {
				continue
			}
			switch l.Msg {
			case changeBegan:
				began[l.What] = l.Index
			case changeFinished:
				finished[l.What] = l.Index
			}
		}
	}
	var all []history.Sealing
	for _, version := range slices.Sorted(maps.Keys(finished)) {
		if b, ok := began[version]; ok {
			all = append(all, history.Sealing{Began: b, Finished: finished[version]})
		}
	}
	slices.SortFunc(all, func(a, b history.Sealing) int { return cmp.Compare(a.Began, b.Began) })
	return all
}
