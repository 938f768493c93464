package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// changes are the tools with which the suite makes a node change its lists: each adds a tool or a
// prompt that stays. Made on one node of a pool, the pool's nodes are no longer the same server, and a
// scenario that lists on one node and calls on another meets that, not the gateway. So every node,
// the one that is asked directly too, gets both additions before the suite starts; the suite's own calls
// then replace them, which announces a change just the same.
var changes = []string{"test_trigger_tool_change", "test_trigger_prompt_change"}

// prime makes the changes on one modern node.
func prime(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, tool := range changes {
		if err := call(ctx, url, tool); err != nil {
			return fmt.Errorf("conformance: %s: %w", tool, err)
		}
	}
	return nil
}

func call(ctx context.Context, url, tool string) error {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{},"_meta":{`+
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`, tool)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
	} {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(said), `"result"`) {
		return fmt.Errorf("%s: %s", resp.Status, said)
	}
	return nil
}
