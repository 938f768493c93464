package mcp

import (
	"fmt"
	"strconv"
)

// envelope turns the noted spans into the message's envelope. The method decides which members
// count, and it may come after them, so this waits for the message's end.
func (s *scanner) envelope() (Envelope, error) {
	var e Envelope
	var idErr error
	e.ID, idErr = s.id()
	e.Kind = s.kind()
	s.check(e, idErr)
	if s.refused != nil {
		return Envelope{ID: e.ID}, fmt.Errorf("mcp: scan: %w", s.refused)
	}
	e.Params = s.spans[topParams]
	if e.Kind == KindResponse {
		s.response(&e)
		return e, nil
	}
	e.Method = s.str(topMethod)
	s.params(&e)
	s.meta(&e)
	return e, nil
}

// id returns the id's span; none for null, which JSON-RPC allows where an id could not be read.
func (s *scanner) id() (Span, error) {
	at := s.spans[topID]
	v := at.Of(s.body)
	switch {
	case s.twoIDs || v == nil || v[0] == 'n':
		return Span{}, nil
	case len(v) > MaxID || (v[0] != '"' && v[0] != '-' && (v[0] < '0' || v[0] > '9')):
		return Span{}, ErrBadID
	}
	return at, nil
}

func (s *scanner) kind() Kind {
	switch {
	case s.spans[topMethod].IsZero():
		return KindResponse
	case s.spans[topID].IsZero():
		return KindNotification
	}
	return KindRequest
}

// check refuses what is no JSON-RPC message of the kind. A null error next to a result, and a null
// result next to an error, are sloppy but clear, and count as absent.
func (s *scanner) check(e Envelope, idErr error) {
	if idErr != nil {
		s.refuse(idErr)
	}
	if string(s.text(s.spans[topVersion].Of(s.body))) != "2.0" {
		s.refuse(ErrNotJSONRPC)
	}
	result, failed := !s.spans[topResult].IsZero(), s.present(topError)
	switch e.Kind {
	case KindResponse:
		if (!result && !failed) || (s.present(topResult) && failed) {
			s.refuse(ErrNotJSONRPC)
		}
		// Without an id nobody can know what a result answers; an error may be about anything.
		if e.ID.IsZero() && !failed {
			s.refuse(ErrBadID)
		}
	default:
		if s.spans[topMethod].Of(s.body)[0] != '"' || result || failed {
			s.refuse(ErrNotJSONRPC)
		}
		if e.Kind == KindRequest && e.ID.IsZero() {
			s.refuse(ErrBadID)
		}
	}
}

// present reports a member that is there and not null.
func (s *scanner) present(f field) bool {
	v := s.spans[f].Of(s.body)
	return v != nil && v[0] != 'n'
}

// str returns the member's text, "" when it is no string.
func (s *scanner) str(f field) string {
	if s.spans[f].IsZero() {
		return ""
	}
	return word(s.text(s.spans[f].Of(s.body)))
}

// token returns where a string or number is; zero for anything else.
func (s *scanner) token(f field) Span {
	v := s.spans[f].Of(s.body)
	if v == nil || (v[0] != '"' && v[0] != '-' && (v[0] < '0' || v[0] > '9')) {
		return Span{}
	}
	return s.spans[f]
}

func (s *scanner) params(e *Envelope) {
	e.URI = s.str(paramURI)
	switch NameParam(e.Method) {
	case "name":
		e.Name = s.str(paramName)
	case "uri":
		e.Name = e.URI
	case "taskId":
		e.Name = s.str(paramTaskID)
	}
	e.RequestState = s.str(paramRequestState)
	switch e.Method {
	case MethodInitialize:
		e.ProtocolVersion = s.str(paramVersion)
	case MethodSetLevel:
		e.Level = s.str(paramLevel)
	case NotificationCancelled:
		e.RequestID = s.token(paramRequestID)
	case NotificationProgress:
		e.ProgressToken = s.token(paramProgressToken)
		// Not a number, or one beyond float64, leaves 0 or an infinity, as other decoders do.
		e.Progress, _ = strconv.ParseFloat(string(s.spans[paramProgress].Of(s.body)), 64)
	}
}

func (s *scanner) meta(e *Envelope) {
	if s.spans[paramMeta].IsZero() {
		return
	}
	e.MetaVersion = s.str(metaVersion)
	e.HasMetaVersion = e.MetaVersion != ""
	if e.Method != MethodInitialize {
		e.ProtocolVersion = e.MetaVersion
	}
	v := s.spans[metaCapabilities].Of(s.body)
	e.HasClientCapabilities = v != nil && v[0] == '{'
	if e.Method != NotificationProgress {
		e.ProgressToken = s.token(metaProgressToken)
	}
	e.SubscriptionID = s.token(metaSubscriptionID)
	e.TraceParent = s.str(metaTraceParent)
	e.IdempotencyKey, e.HasKey = s.str(metaIdempotencyKey), !s.spans[metaIdempotencyKey].IsZero()
}

func (s *scanner) response(e *Envelope) {
	e.HasError = s.present(topError)
	e.HasResult = !e.HasError
	if e.HasError {
		e.Error = s.spans[topError]
		return
	}
	e.Result = s.spans[topResult]
	e.ResultType = s.str(resultType)
	e.ResultRequestState = s.str(resultRequestState)
	if e.TaskID = s.str(resultTaskID); e.TaskID == "" {
		e.TaskID = s.str(taskID)
	}
}
