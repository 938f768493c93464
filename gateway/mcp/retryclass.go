package mcp

import "strings"

// RetryClass says what a gateway may do with a request whose node failed.
// The order is the order of freedom: Once < Retry < Hedge.
type RetryClass uint8

const (
	// Once must never be sent again after a byte of it may have reached a node.
	Once RetryClass = iota
	// Retry may be sent again after a failure, but never twice at one time.
	Retry
	// Hedge may be sent to two nodes at one time.
	Hedge
)

// String returns the word that configuration uses: "once", "retry" or "hedge".
func (c RetryClass) String() string {
	switch c {
	case Retry:
		return "retry"
	case Hedge:
		return "hedge"
	}
	return "once"
}

// ToolHints is what is known of the tool a tools/call names, from the annotations of trusted nodes.
// The zero value is an unknown tool: neither read-only nor idempotent, as the specification's defaults.
type ToolHints struct {
	Known      bool // false: ReadOnly and Idempotent are ignored
	ReadOnly   bool // readOnlyHint
	Idempotent bool // idempotentHint
}

// ClassOf returns what may be done again without a side effect twice. The hints count only for
// tools/call. Methods outside the vocabulary are Once, except that every */list is a read.
func ClassOf(method string, t ToolHints) RetryClass {
	switch method {
	case MethodToolsCall:
		return toolClass(t)
	case MethodDiscover, MethodInitialize, MethodPing, MethodResourcesRead, MethodPromptsGet,
		MethodComplete, MethodTasksGet:
		return Hedge
	case MethodSetLevel, MethodSubscribe, MethodUnsubscribe, MethodTasksCancel, MethodTasksUpdate,
		// These only read, but stay open for long, so a second one at the same time is no gain.
		MethodListen, MethodTasksResult,
		// Hearing these twice changes nothing.
		NotificationInitialized, NotificationCancelled, NotificationProgress, NotificationRootsChanged:
		return Retry
	}
	if strings.HasSuffix(method, "/list") {
		return Hedge
	}
	return Once
}

func toolClass(t ToolHints) RetryClass {
	switch {
	case t.Known && t.ReadOnly:
		return Hedge
	case t.Known && t.Idempotent:
		return Retry
	}
	return Once
}

// IsWrite reports whether the request needs the authority to write: a tools/call unless the tool is
// known to be read-only, and changes of tasks. Session upkeep (initialize, setLevel, subscriptions),
// reads and notifications do not. A method outside the vocabulary counts as a write, because
// nothing says that it is not one.
func IsWrite(method string, t ToolHints) bool {
	switch method {
	case MethodToolsCall:
		return !t.Known || !t.ReadOnly
	case MethodTasksUpdate, MethodTasksCancel:
		return true
	}
	return ClassOf(method, t) == Once && !strings.HasPrefix(method, "notifications/")
}
