package mcp

import "fmt"

// Validate checks a single message of a POST against its headers, as the 2026-07-28 specification asks
// of an intermediary that parses bodies. The answers (code, HTTP status, order of the checks) are those
// of a go-sdk v1.8 node; nil means pass it on. What needs more than the message stays with the node:
// Mcp-Param-* (needs the tool's schema), which versions it supports, and which methods it has.
//
// Legacy messages are only refused when a header cannot be trusted or when _meta names another version.
func Validate(h Headers, e Envelope) *Error {
	if h.Bad != "" {
		return HeaderMismatch(fmt.Sprintf("%s header is sent twice, too long or wrongly encoded", h.Bad))
	}
	if e.Kind != KindRequest && e.Kind != KindNotification {
		return nil
	}
	if err := validateVersion(h, e); err != nil {
		return err
	}
	if EraOf(h.Version) != Modern {
		return nil
	}
	if err := validateMirrors(h, e); err != nil {
		return err
	}
	if e.Kind == KindRequest && !e.HasClientCapabilities {
		return missingMeta(MetaClientCapabilities)
	}
	return nil
}

// validateVersion: a notification needs no version in _meta, but one that is there must be true.
func validateVersion(h Headers, e Envelope) *Error {
	required := e.Kind == KindRequest && EraOf(h.Version) == Modern
	if !required && !e.HasMetaVersion {
		return nil
	}
	switch {
	case h.Version == "":
		return HeaderMismatch(fmt.Sprintf("%s header is required for requests carrying %q", HeaderVersion, MetaProtocolVersion))
	case !e.HasMetaVersion:
		return missingMeta(MetaProtocolVersion)
	case h.Version != e.MetaVersion:
		return HeaderMismatch(fmt.Sprintf("%s header %q does not match request %s %q",
			HeaderVersion, clip(h.Version), MetaProtocolVersion, clip(e.MetaVersion)))
	}
	return nil
}

func missingMeta(key string) *Error {
	return InvalidParams(fmt.Sprintf("missing or invalid _meta field %q", key))
}

func validateMirrors(h Headers, e Envelope) *Error {
	switch {
	case h.Method == "":
		return HeaderMismatch("missing required Mcp-Method header")
	case h.Method != e.Method:
		return mismatch(HeaderMethod, h.Method, e.Method)
	}
	switch e.Method {
	case MethodToolsCall, MethodPromptsGet, MethodResourcesRead:
		if h.Name == "" {
			return HeaderMismatch(fmt.Sprintf("missing required Mcp-Name header for method %q", e.Method))
		}
	case MethodTasksGet, MethodTasksUpdate, MethodTasksCancel:
		// The tasks extension mirrors the task id, but nodes do not insist on it.
		if h.Name == "" {
			return nil
		}
	default:
		return nil
	}
	if h.Name != e.Name {
		return mismatch(HeaderName, h.Name, e.Name)
	}
	return nil
}

func mismatch(header, got, want string) *Error {
	return HeaderMismatch(fmt.Sprintf("header mismatch: %s header value '%s' does not match body value '%s'",
		header, clip(got), clip(want)))
}
