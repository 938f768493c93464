package mcp

// Kind is what a JSON-RPC message is.
type Kind uint8

const (
	// KindInvalid is no JSON-RPC message.
	KindInvalid Kind = iota
	// KindRequest has a method and an id.
	KindRequest
	// KindNotification has a method and no id.
	KindNotification
	// KindResponse has a result or an error.
	KindResponse
	// KindBatch is an array of messages, which only version 2025-03-26 allows.
	KindBatch
)

// String returns the kind's word for logs and metrics.
func (k Kind) String() string {
	names := [...]string{"invalid", "request", "notification", "response", "batch"}
	if int(k) < len(names) {
		return names[k]
	}
	return "invalid"
}

// Span is a byte range of the scanned body; the zero Span means absent.
// A value never starts at byte 0 of a message, so zero is no real range.
type Span struct{ Start, End int }

// IsZero reports whether the value is absent.
func (s Span) IsZero() bool { return s == Span{} }

// Of returns the range's bytes, which alias body; nil when absent.
func (s Span) Of(body []byte) []byte {
	if s.IsZero() {
		return nil
	}
	return body[s.Start:s.End:s.End]
}

// Envelope is what a gateway reads of one message. Strings are unescaped copies, independent of
// the body; a member of the wrong JSON type counts as absent, and the node says what it thinks of it.
type Envelope struct {
	Kind Kind

	// ID is the id as written: a string with its quotes, or a number. Zero in notifications and in
	// error responses to no known request (id absent or null).
	ID     Span
	Method string
	Params Span // whatever its JSON type
	// Name is the params member that NameParam(Method) names.
	Name string

	// ProtocolVersion is params._meta's io.modelcontextprotocol/protocolVersion,
	// or params.protocolVersion for initialize.
	ProtocolVersion       string
	MetaVersion           string // the same from _meta only; differs from ProtocolVersion in initialize
	HasMetaVersion        bool   // MetaVersion is not empty
	HasClientCapabilities bool   // _meta has client capabilities, as an object

	// ProgressToken is params._meta.progressToken; for notifications/progress params.progressToken.
	ProgressToken Span
	Progress      float64 // notifications/progress: params.progress; 0 when absent
	RequestID     Span    // notifications/cancelled: params.requestId
	// SubscriptionID is params._meta's io.modelcontextprotocol/subscriptionId on a listen stream.
	SubscriptionID Span

	RequestState   string // params.requestState
	TraceParent    string // params._meta.traceparent
	IdempotencyKey string // params._meta["dev.quorate/idempotencyKey"]
	HasKey         bool   // it is there, whatever its JSON type
	Level          string // logging/setLevel: params.level
	URI            string // params.uri, of any method

	// The rest is set in responses only.
	HasResult, HasError bool   // exactly one is true
	Result              Span   // set with HasResult
	Error               Span   // set with HasError
	ResultType          string // result.resultType
	TaskID              string // result.taskId, else result.task.taskId
	ResultRequestState  string // result.requestState
}

// ReplaceSpan returns a copy of body with the range replaced by with, for putting another id or
// progress token into a message. A zero Span replaces nothing. Spans of the same body that lie
// before s stay valid in the copy.
func ReplaceSpan(body []byte, s Span, with []byte) []byte {
	if s.IsZero() {
		return append([]byte(nil), body...)
	}
	out := make([]byte, 0, len(body)-(s.End-s.Start)+len(with))
	out = append(out, body[:s.Start]...)
	out = append(out, with...)
	return append(out, body[s.End:]...)
}
