package mcpnode

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Names of the tools, by what a gateway may do with them.
const (
	ToolEcho     = "echo"     // read-only: answers its text
	ToolLookup   = "lookup"   // read-only: works a little, then answers
	ToolSlow     = "slow"     // read-only: answers after a long time
	ToolProgress = "progress" // read-only: reports progress on the way
	ToolSet      = "set"      // idempotent effect
	ToolCharge   = "charge"   // effect that must not happen twice
	ToolTouch    = "touch"    // effect: changes the resource
	ToolSettings = "settings" // read-only: answers the log level and the subscriptions of its session
	ToolRemark   = "remark"   // read-only: logs its text at the level info, then answers
)

// Bounds on arguments: a test node must not be a way to use up a machine.
const (
	maxBytes = 1 << 20
	maxWait  = 10 * time.Minute
	maxSteps = 1000
)

// Args are the arguments of every tool; each reads the ones it knows.
type Args struct {
	Call    string `json:"call,omitempty" jsonschema:"names this call in the journal; effects and named calls are journalled"`
	Text    string `json:"text,omitempty" jsonschema:"echo: the text to answer; remark: the text to log"`
	Bytes   int    `json:"bytes,omitempty" jsonschema:"echo: pads the answer to this length"`
	Key     string `json:"key,omitempty" jsonschema:"lookup, set: the key"`
	Value   string `json:"value,omitempty" jsonschema:"set: the value"`
	WorkMS  int    `json:"work_ms,omitempty" jsonschema:"time the call takes, in milliseconds"`
	Steps   int    `json:"steps,omitempty" jsonschema:"progress: number of reports"`
	EveryMS int    `json:"every_ms,omitempty" jsonschema:"progress: time between reports, in milliseconds"`
}

// does performs a tool's own part once a call has its slot and its journal entry.
type does func(ctx context.Context, req *mcp.CallToolRequest, a Args) (string, error)

func (n *node) addTools(s *mcp.Server) {
	safe := &mcp.ToolAnnotations{ReadOnlyHint: true}
	again := &mcp.ToolAnnotations{IdempotentHint: true}
	once := &mcp.ToolAnnotations{}
	n.add(s, ToolEcho, "answers its text", safe, echo)
	n.add(s, ToolLookup, "reads a key", safe, n.lookup)
	n.add(s, ToolSlow, "answers after work_ms", safe, n.lookup)
	n.add(s, ToolProgress, "reports progress, then answers", safe, n.progress)
	n.add(s, ToolSettings, "answers what its session has set", safe, n.settings.tell)
	n.add(s, ToolRemark, "logs its text", safe, remark)
	n.add(s, ToolSet, "sets a key; again is the same as once", again, n.effect)
	n.add(s, ToolCharge, "charges once; again is a second charge", once, n.effect)
	n.add(s, ToolTouch, "changes the resource "+UpdatesURI, once, n.touch)
}

func (n *node) add(s *mcp.Server, name, text string, hints *mcp.ToolAnnotations, do does) {
	tool := &mcp.Tool{Name: name, Description: text, Annotations: hints}
	mcp.AddTool(s, tool, func(ctx context.Context, req *mcp.CallToolRequest, a Args) (*mcp.CallToolResult, any, error) {
		text, err := n.execute(ctx, req, a, hints.ReadOnlyHint, do)
		if err != nil {
			return nil, nil, err
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
	})
}

// execute counts, bounds and journals one call around its own part.
func (n *node) execute(ctx context.Context, req *mcp.CallToolRequest, a Args, readOnly bool, do does) (string, error) {
	n.gauge.add(1)
	defer n.gauge.add(-1)
	if err := n.acquire(ctx); err != nil {
		return "", err
	}
	defer n.release()
	if readOnly && a.Call == "" {
		return do(ctx, req, a)
	}
	e := Entry{Call: a.Call, Tool: req.Params.Name, Node: n.cfg.Name, PID: n.pid, Phase: PhaseStart}
	e.Fence, e.Via = sent(req)
	at, _, ok := n.fence.admit(e.Fence) // again: a later epoch may have overtaken it on the way here
	if !ok {
		return "", overtaken()
	}
	e.Mono = int64(at)
	if err := n.journal.Append(e); err != nil {
		return "", err
	}
	text, err := do(ctx, req, a)
	if err != nil {
		return "", err
	}
	e.Phase, e.Mono = PhaseEnd, 0
	return text, n.journal.Append(e)
}

// sent returns what the gateway says of a call. That it is a number was checked as it came in, where it matters.
func sent(req *mcp.CallToolRequest) (epoch uint64, via string) {
	if req.Extra == nil {
		return 0, ""
	}
	epoch, _ = strconv.ParseUint(req.Extra.Header.Get(headerFence), 10, 64)
	return epoch, req.Extra.Header.Get(headerVia)
}

func (n *node) acquire(ctx context.Context) error {
	if n.slots == nil {
		return nil
	}
	select {
	case n.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *node) release() {
	if n.slots != nil {
		<-n.slots
	}
}

func echo(_ context.Context, _ *mcp.CallToolRequest, a Args) (string, error) {
	if a.Bytes < 0 || a.Bytes > maxBytes {
		return "", fmt.Errorf("bytes %d: write 0..%d", a.Bytes, maxBytes)
	}
	if pad := a.Bytes - len(a.Text); pad > 0 {
		return a.Text + strings.Repeat(".", pad), nil
	}
	return a.Text, nil
}

func remark(ctx context.Context, req *mcp.CallToolRequest, a Args) (string, error) {
	return a.Text, req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Logger: "remark", Data: a.Text})
}

func (n *node) lookup(ctx context.Context, _ *mcp.CallToolRequest, a Args) (string, error) {
	if err := wait(ctx, a.WorkMS); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is on %s/%d", a.Key, n.cfg.Name, n.pid), nil
}

// effect works to its end even when the caller has gone: half an effect is no use to anybody.
func (n *node) effect(ctx context.Context, _ *mcp.CallToolRequest, a Args) (string, error) {
	if err := wait(context.WithoutCancel(ctx), a.WorkMS); err != nil {
		return "", err
	}
	return fmt.Sprintf("done %s on %s/%d", a.Call, n.cfg.Name, n.pid), nil
}

func (n *node) touch(ctx context.Context, _ *mcp.CallToolRequest, _ Args) (string, error) {
	return fmt.Sprintf("change %d on %s", n.change(ctx), n.cfg.Name), nil
}

func (n *node) progress(ctx context.Context, req *mcp.CallToolRequest, a Args) (string, error) {
	if a.Steps < 0 || a.Steps > maxSteps {
		return "", fmt.Errorf("steps %d: write 0..%d", a.Steps, maxSteps)
	}
	token := req.Params.GetProgressToken()
	for i := range a.Steps {
		if err := wait(ctx, a.EveryMS); err != nil {
			return "", err
		}
		if token == nil {
			continue
		}
		if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
			ProgressToken: token, Progress: float64(i + 1), Total: float64(a.Steps), Message: n.cfg.Name,
		}); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d steps on %s/%d", a.Steps, n.cfg.Name, n.pid), nil
}

func wait(ctx context.Context, ms int) error {
	d := time.Duration(ms) * time.Millisecond
	if d < 0 || d > maxWait {
		return fmt.Errorf("%d ms: write 0..%d", ms, maxWait.Milliseconds())
	}
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
