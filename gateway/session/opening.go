package session

import (
	"encoding/json"
	"errors"
	"reflect"

	"github.com/quorate/quorate/gateway/mcp"
)

// opening is how a session began: the agent's initialize and the promise it was given.
type opening struct {
	request []byte // the agent's initialize
	id      []byte // its id, as written
	result  promise
}

// promise is what a node negotiates. A node that promises something else cannot continue a session:
// the agent would go on believing in the first one's.
type promise struct {
	version      string
	capabilities any // decoded JSON
	raw          json.RawMessage
}

var errNoResult = errors.New("initialize has no result")

// readPromise reads the result of an initialize.
func readPromise(answer []byte) (promise, error) {
	var m struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(answer, &m); err != nil {
		return promise{}, err
	}
	if m.Result == nil {
		return promise{}, errNoResult
	}
	var r struct {
		ProtocolVersion string `json:"protocolVersion"`
		Capabilities    any    `json:"capabilities"`
	}
	if err := json.Unmarshal(m.Result, &r); err != nil {
		return promise{}, err
	}
	return promise{version: r.ProtocolVersion, capabilities: r.Capabilities, raw: m.Result}, nil
}

// same reports whether a node that promises q can go on where one that promised p was.
func (p promise) same(q promise) bool {
	return p.version == q.version && reflect.DeepEqual(p.capabilities, q.capabilities)
}

// announces reports whether the node promised to announce changes of one list: "tools", "prompts" or
// "resources".
func (p promise) announces(list string) bool {
	all, _ := p.capabilities.(map[string]any)
	one, _ := all[list].(map[string]any)
	changed, _ := one["listChanged"].(bool)
	return changed
}

// changes are the notifications that cover a gap in which a node may have announced something.
func (p promise) changes(watched []subscription) [][]byte {
	var out [][]byte
	for _, l := range []struct{ list, method string }{
		{"tools", mcp.NotificationToolsChanged},
		{"prompts", mcp.NotificationPromptsChanged},
		{"resources", mcp.NotificationResourcesChanged},
	} {
		if p.announces(l.list) {
			out = append(out, []byte(`{"jsonrpc":"2.0","method":"`+l.method+`"}`))
		}
	}
	for _, w := range watched {
		uri, err := json.Marshal(w.uri)
		if err != nil { // a string always encodes
			continue
		}
		head := `{"jsonrpc":"2.0","method":"` + mcp.NotificationResourceUpdated + `","params":{"uri":`
		out = append(out, append(append([]byte(head), uri...), "}}"...))
	}
	return out
}
