package mcpagent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Answer is what came back.
type Answer struct {
	Header  http.Header
	content json.RawMessage // of a tool's result
}

// Text is the first text of a tool's result, "" when there is none.
func (a Answer) Text() string {
	var all []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(a.content, &all) != nil || len(all) == 0 {
		return ""
	}
	return all[0].Text
}

// Session is the id of the legacy session that the agent has, "" for none.
func (r *Agent) Session() string { return r.session }

// Join gives the agent a legacy session that was opened elsewhere; "" takes it away.
func (r *Agent) Join(session string) { r.session = session }

// Open opens a new legacy session. The answer is the one to initialize. An error leaves the agent without a session.
func (r *Agent) Open(ctx context.Context) (Answer, error) {
	r.session = ""
	a, err := r.begin(ctx)
	if err == nil {
		_, err = r.post(ctx, "notifications/initialized", "", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "")
	}
	if err != nil {
		r.session = ""
	}
	return a, err
}

// Ask sends one request in the legacy session that the agent has, with params that encode as a JSON object. The error
// is nil or a *CallError.
func (r *Agent) Ask(ctx context.Context, method string, params any) (Answer, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return Answer{}, &CallError{Err: err}
	}
	a, err := r.request(ctx, method, "", string(raw))
	return a, r.lost(err)
}

// Tool calls a tool in the legacy session that the agent has.
func (r *Agent) Tool(ctx context.Context, name string, args any) (Answer, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return Answer{}, &CallError{Err: err}
	}
	a, err := r.request(ctx, "tools/call", name, fmt.Sprintf(`{"name":%q,"arguments":%s}`, name, raw))
	return a, r.lost(err)
}
