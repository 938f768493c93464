package mcp

// The methods that requests and notifications carry, of every version.
const (
	MethodInitialize            = "initialize"
	MethodPing                  = "ping"
	MethodDiscover              = "server/discover"
	MethodToolsList             = "tools/list"
	MethodToolsCall             = "tools/call"
	MethodPromptsList           = "prompts/list"
	MethodPromptsGet            = "prompts/get"
	MethodResourcesList         = "resources/list"
	MethodResourceTemplatesList = "resources/templates/list"
	MethodResourcesRead         = "resources/read"
	MethodSubscribe             = "resources/subscribe"
	MethodUnsubscribe           = "resources/unsubscribe"
	MethodComplete              = "completion/complete"
	MethodSetLevel              = "logging/setLevel"
	MethodListen                = "subscriptions/listen"
	MethodTasksList             = "tasks/list"
	MethodTasksGet              = "tasks/get"
	MethodTasksResult           = "tasks/result"
	MethodTasksUpdate           = "tasks/update"
	MethodTasksCancel           = "tasks/cancel"

	// From server to client, legacy only.
	MethodSampling  = "sampling/createMessage"
	MethodElicit    = "elicitation/create"
	MethodRootsList = "roots/list"

	NotificationInitialized      = "notifications/initialized"
	NotificationCancelled        = "notifications/cancelled"
	NotificationProgress         = "notifications/progress"
	NotificationMessage          = "notifications/message"
	NotificationRootsChanged     = "notifications/roots/list_changed"
	NotificationToolsChanged     = "notifications/tools/list_changed"
	NotificationPromptsChanged   = "notifications/prompts/list_changed"
	NotificationResourcesChanged = "notifications/resources/list_changed"
	NotificationResourceUpdated  = "notifications/resources/updated"
	NotificationListenAck        = "notifications/subscriptions/acknowledged"
	NotificationElicitComplete   = "notifications/elicitation/complete"
	NotificationTaskStatus       = "notifications/tasks/status"
)

// The _meta keys that a gateway reads.
const (
	MetaProtocolVersion    = "io.modelcontextprotocol/protocolVersion"
	MetaClientCapabilities = "io.modelcontextprotocol/clientCapabilities"
	MetaSubscriptionID     = "io.modelcontextprotocol/subscriptionId"
	MetaProgressToken      = "progressToken"
	MetaTraceParent        = "traceparent"
	MetaIdempotencyKey     = "dev.quorate/idempotencyKey"
)

// NameParam returns which member of params names what the method addresses: "name", "uri" or
// "taskId"; "" for methods that address nothing. Routes match on it, and it is what Mcp-Name mirrors.
func NameParam(method string) string {
	switch method {
	case MethodToolsCall, MethodPromptsGet:
		return "name"
	case MethodResourcesRead, MethodSubscribe, MethodUnsubscribe, NotificationResourceUpdated:
		return "uri"
	case MethodTasksGet, MethodTasksResult, MethodTasksUpdate, MethodTasksCancel:
		return "taskId"
	}
	return ""
}

// word returns b as a string without allocating when it is a word of the protocol.
func word(b []byte) string {
	switch string(b) {
	case MethodToolsCall:
		return MethodToolsCall
	case MethodToolsList:
		return MethodToolsList
	case MethodInitialize:
		return MethodInitialize
	case MethodPing:
		return MethodPing
	case MethodDiscover:
		return MethodDiscover
	case MethodPromptsList:
		return MethodPromptsList
	case MethodPromptsGet:
		return MethodPromptsGet
	case MethodResourcesList:
		return MethodResourcesList
	case MethodResourceTemplatesList:
		return MethodResourceTemplatesList
	case MethodResourcesRead:
		return MethodResourcesRead
	case MethodSubscribe:
		return MethodSubscribe
	case MethodUnsubscribe:
		return MethodUnsubscribe
	case MethodComplete:
		return MethodComplete
	case MethodSetLevel:
		return MethodSetLevel
	case MethodListen:
		return MethodListen
	case MethodTasksGet:
		return MethodTasksGet
	case NotificationInitialized:
		return NotificationInitialized
	case NotificationCancelled:
		return NotificationCancelled
	case NotificationProgress:
		return NotificationProgress
	case NotificationMessage:
		return NotificationMessage
	case Version20260728:
		return Version20260728
	case Version20251125:
		return Version20251125
	case Version20250618:
		return Version20250618
	case Version20250326:
		return Version20250326
	case "complete":
		return "complete"
	case "input_required":
		return "input_required"
	case "task":
		return "task"
	}
	return string(b)
}
