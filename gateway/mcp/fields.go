package mcp

import "bytes"

// level is an object of a message whose members the scan looks at.
type level uint8

const (
	levelTop level = iota
	levelParams
	levelMeta
	levelResult
	levelTask
)

// field is a member that the scan looks at; 0 is any other.
type field uint8

const (
	fieldNone field = iota

	topVersion
	topID
	topMethod
	topParams
	topResult
	topError

	paramMeta
	paramName
	paramURI
	paramTaskID
	paramArguments
	paramVersion
	paramProgressToken
	paramProgress
	paramRequestID
	paramRequestState
	paramLevel

	metaVersion
	metaCapabilities
	metaProgressToken
	metaSubscriptionID
	metaTraceParent
	metaIdempotencyKey

	resultType
	resultTaskID
	resultTask
	resultRequestState

	taskID

	numFields
)

// lookup returns the field that the member's unescaped name stands for.
func lookup(l level, name []byte) field {
	switch l {
	case levelTop:
		return lookupTop(name)
	case levelParams:
		return lookupParams(name)
	case levelMeta:
		return lookupMeta(name)
	case levelResult:
		return lookupResult(name)
	}
	if string(name) == "taskId" {
		return taskID
	}
	return fieldNone
}

func lookupTop(name []byte) field {
	switch string(name) {
	case "jsonrpc":
		return topVersion
	case "id":
		return topID
	case "method":
		return topMethod
	case "params":
		return topParams
	case "result":
		return topResult
	case "error":
		return topError
	}
	return fieldNone
}

func lookupParams(name []byte) field {
	switch string(name) {
	case "_meta":
		return paramMeta
	case "name":
		return paramName
	case "uri":
		return paramURI
	case "taskId":
		return paramTaskID
	case "arguments":
		return paramArguments
	case "protocolVersion":
		return paramVersion
	case "progressToken":
		return paramProgressToken
	case "progress":
		return paramProgress
	case "requestId":
		return paramRequestID
	case "requestState":
		return paramRequestState
	case "level":
		return paramLevel
	}
	return fieldNone
}

func lookupMeta(name []byte) field {
	switch string(name) {
	case MetaProtocolVersion:
		return metaVersion
	case MetaClientCapabilities:
		return metaCapabilities
	case MetaProgressToken:
		return metaProgressToken
	case MetaSubscriptionID:
		return metaSubscriptionID
	case MetaTraceParent:
		return metaTraceParent
	case MetaIdempotencyKey:
		return metaIdempotencyKey
	}
	return fieldNone
}

func lookupResult(name []byte) field {
	switch string(name) {
	case "resultType":
		return resultType
	case "taskId":
		return resultTaskID
	case "task":
		return resultTask
	case "requestState":
		return resultRequestState
	}
	return fieldNone
}

// names lists a level's members for lookupFolded.
func names(l level) []string {
	switch l {
	case levelTop:
		return topNames[:]
	case levelParams:
		return paramNames[:]
	case levelMeta:
		return metaNames[:]
	}
	return nil
}

// Constant tables; Go has no constant arrays.
var (
	topNames   = [...]string{"jsonrpc", "id", "method", "params", "result", "error"}
	paramNames = [...]string{"_meta", "name", "uri", "taskId", "arguments", "protocolVersion", "progressToken",
		"progress", "requestId", "requestState", "level"}
	metaNames = [...]string{MetaProtocolVersion, MetaClientCapabilities, MetaProgressToken, MetaSubscriptionID,
		MetaTraceParent, MetaIdempotencyKey}
)

// lookupFolded returns the field whose name equals name but for case, which some decoders (Go's
// encoding/json among them) take for the same member. Results of nodes are not looked at so closely.
func lookupFolded(l level, name []byte) field {
	for _, n := range names(l) {
		// A letter's case variants have 1 to 3 bytes (K is also U+212A), so most names fall out here.
		if len(name) >= len(n) && len(name) <= 3*len(n) && bytes.EqualFold(name, []byte(n)) {
			return lookup(l, []byte(n))
		}
	}
	return fieldNone
}
