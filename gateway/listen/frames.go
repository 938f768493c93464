package listen

import (
	"encoding/json"
	"strconv"

	"github.com/quorate/quorate/gateway/mcp"
)

// agreement is the notifications member of a listen request or of its acknowledgement: what is asked
// for, or what a node will send. Members that this package does not know are kept.
type agreement map[string]json.RawMessage

const (
	toolsChanged     = "toolsListChanged"
	promptsChanged   = "promptsListChanged"
	resourcesChanged = "resourcesListChanged"
	resourceURIs     = "resourceSubscriptions"
)

// agreementIn reads params.notifications of a message; nil if there is none.
func agreementIn(message []byte) agreement {
	var m struct {
		Params struct {
			Notifications agreement `json:"notifications"`
		} `json:"params"`
	}
	if json.Unmarshal(message, &m) != nil {
		return nil
	}
	return m.Params.Notifications
}

func (a agreement) has(name string) bool { return string(a[name]) == "true" }

func (a agreement) list(name string) []string {
	var list []string
	if json.Unmarshal(a[name], &list) != nil {
		return nil
	}
	return list
}

// empty reports whether nothing was agreed on, in which case the stream has nothing to wait for.
func (a agreement) empty() bool {
	for _, v := range a {
		switch string(v) {
		case "false", "null", "[]", "{}":
		default:
			return false
		}
	}
	return true
}

// join adds what b has beyond a, and reports whether there was anything.
func (a agreement) join(b agreement) (grew bool) {
	for name, v := range b {
		have, ok := a[name]
		switch {
		case !ok || string(have) == "false" || string(have) == "null":
			if string(have) != string(v) && string(v) != "false" && string(v) != "null" {
				a[name], grew = v, true
			}
		case string(have) != string(v) && a.joinList(name, b):
			grew = true
		}
	}
	return grew
}

func (a agreement) joinList(name string, b agreement) (grew bool) {
	have := a.list(name)
	seen := make(map[string]bool, len(have))
	for _, uri := range have {
		seen[uri] = true
	}
	for _, uri := range b.list(name) {
		if !seen[uri] {
			seen[uri], grew = true, true
			have = append(have, uri)
		}
	}
	if grew {
		a[name], _ = json.Marshal(have) // strings always encode
	}
	return grew
}

// changes returns a synthetic notification for everything that a may have missed in a gap.
func (a agreement) changes(id []byte) []item {
	var out []item
	for _, l := range []struct{ name, method string }{
		{toolsChanged, mcp.NotificationToolsChanged},
		{promptsChanged, mcp.NotificationPromptsChanged},
		{resourcesChanged, mcp.NotificationResourcesChanged},
	} {
		if a.has(l.name) {
			it := notification(l.method, id, "", nil)
			it.key = key(l.method, "")
			out = append(out, it)
		}
	}
	for _, uri := range a.list(resourceURIs) {
		it := notification(mcp.NotificationResourceUpdated, id, "uri", quote(uri))
		it.key = key(mcp.NotificationResourceUpdated, uri)
		out = append(out, it)
	}
	return out
}

// key says which notifications mean the same: a change is a change, whoever tells it.
func key(method, uri string) string {
	switch method {
	case mcp.NotificationToolsChanged, mcp.NotificationPromptsChanged, mcp.NotificationResourcesChanged:
		return method
	case mcp.NotificationResourceUpdated:
		return method + " " + uri
	}
	return ""
}

// acknowledgement tells the agent what the nodes together agreed on.
func acknowledgement(a agreement, id []byte) item {
	all, _ := json.Marshal(a) // came from JSON
	return notification(mcp.NotificationListenAck, id, "notifications", all)
}

// notification builds an event; name and value are one more member of params.
func notification(method string, id []byte, name string, value []byte) item {
	b := append([]byte(`{"jsonrpc":"2.0","method":`), quote(method)...)
	b = append(b, `,"params":{"_meta":{"`+mcp.MetaSubscriptionID+`":`...)
	b = append(append(b, id...), '}')
	if name != "" {
		b = append(append(append(b, ','), quote(name)...), ':')
		b = append(b, value...)
	}
	return event(append(b, "}}"...))
}

// result is the graceful end of a listen request.
func result(id []byte) item {
	b := append(append([]byte(`{"jsonrpc":"2.0","id":`), id...), `,"result":{"resultType":"complete","_meta":{"`+mcp.MetaSubscriptionID+`":`...)
	return event(append(append(b, id...), "}}}"...))
}

func event(data []byte) item {
	return item{raw: mcp.AppendEvent(nil, mcp.Event{Name: "message", Data: data})}
}

func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // a string always encodes
		return strconv.AppendQuote(nil, s)
	}
	return b
}
