package mcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// What Scan and ScanBatch refuse. ScanError turns them into answers.
var (
	// ErrSyntax: not well-formed JSON in UTF-8, cut, or followed by more.
	ErrSyntax = errors.New("not well-formed JSON")
	// ErrTooDeep: nested deeper than MaxDepth.
	ErrTooDeep = errors.New("nested too deeply")
	// ErrNotJSONRPC: JSON, but no JSON-RPC 2.0 message.
	ErrNotJSONRPC = errors.New("not a JSON-RPC 2.0 message")
	// ErrDuplicate: a member that the gateway reads is there twice, perhaps in another case.
	ErrDuplicate = errors.New("duplicate member")
	// ErrBadID: the id is no string or number, null in a request, or longer than MaxID.
	ErrBadID = errors.New("bad id")
	// ErrBatch: an empty batch, or one of more than MaxBatch messages.
	ErrBatch = errors.New("batch is empty or too long")
)

const (
	// MaxDepth is how deep a message may nest objects and arrays; go-sdk has the same bound.
	MaxDepth = 1000
	// MaxID is the longest id in bytes, as written. Ids are kept per call in flight.
	MaxID = 1 << 10
	// keepBody is the longest body that a pooled scanner may go on holding, in bytes.
	keepBody = 16 << 10
)

// Scan reads the envelope of one message in one pass: the whole body is checked to be well-formed,
// only the members of Envelope are kept, and nothing is decoded. It does not change body.
//
// A batch is only recognised (KindBatch); ScanBatch reads its members.
//
// Members that the gateway reads (of the message, params and params._meta, of result and result.task)
// must not be there twice, nor, outside results, again in another case: decoders disagree about which
// one counts, so gateway and node could read two different messages. What lies inside arguments, content
// and the like is the node's business.
//
// Errors wrap one of the Err values above. With ErrNotJSONRPC and ErrDuplicate, Envelope.ID is set if
// the message has one usable id, so that the refusal can name it; everything else is zero.
func Scan(body []byte) (Envelope, error) {
	if i := firstByte(body); i < len(body) && body[i] == '[' {
		return Envelope{Kind: KindBatch}, nil
	}
	s, err := newScanner(body)
	if err != nil {
		return Envelope{}, err
	}
	defer s.free()
	env, err := s.message()
	if err != nil {
		return env, err
	}
	if err := s.end(); err != nil {
		return Envelope{}, err
	}
	return env, nil
}

func firstByte(body []byte) int {
	i := 0
	for i < len(body) && (body[i] == ' ' || body[i] == '\t' || body[i] == '\r' || body[i] == '\n') {
		i++
	}
	return i
}

// scanner is one scan's state, pooled because the decoder is a few hundred bytes.
type scanner struct {
	dec     jsontext.Decoder
	src     bytes.Buffer
	opts    [2]jsontext.Options
	body    []byte
	scratch []byte
	whole   Span // of the message read last
	spans   [numFields]Span
	refused error // the first reason why the message is none, though it is JSON
	twoIDs  bool  // which of the two is the id is anyone's guess
}

// scanners is a pool, not state: any scanner is as good as a new one.
var scanners = sync.Pool{New: func() any {
	// Names are checked here, for the members that matter. Unpaired surrogates, which JavaScript
	// writes, are legal JSON; invalid UTF-8 is refused before.
	return &scanner{opts: [2]jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}}
}}

func newScanner(body []byte) (*scanner, error) {
	if !utf8.Valid(body) {
		return nil, fmt.Errorf("mcp: scan: %w: invalid UTF-8", ErrSyntax)
	}
	if tooDeep(body) {
		return nil, fmt.Errorf("mcp: scan: %w", ErrTooDeep)
	}
	s := scanners.Get().(*scanner)
	s.body = body
	// The decoder reads a bytes.Buffer in place, without copying or changing it.
	s.src = *bytes.NewBuffer(body)
	s.dec.Reset(&s.src, s.opts[:]...)
	return s, nil
}

func (s *scanner) free() {
	if len(s.body) > keepBody {
		s.src = bytes.Buffer{}
		s.dec.Reset(&s.src)
	}
	if cap(s.scratch) > keepBody {
		s.scratch = nil
	}
	s.body = nil
	scanners.Put(s)
}

// end checks that nothing follows the value.
func (s *scanner) end() error {
	if _, err := s.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("mcp: scan: %w: more than one value", ErrSyntax)
	}
	return nil
}

// message reads the value that is next and makes its envelope.
func (s *scanner) message() (Envelope, error) {
	s.spans, s.refused, s.twoIDs = [numFields]Span{}, nil, false
	if s.dec.PeekKind() != '{' {
		if err := s.dec.SkipValue(); err != nil {
			return Envelope{}, syntax(err)
		}
		return Envelope{}, fmt.Errorf("mcp: scan: %w: not an object", ErrNotJSONRPC)
	}
	var err error
	if s.whole, err = s.object(levelTop); err != nil {
		return Envelope{}, syntax(err)
	}
	return s.envelope()
}

func syntax(err error) error {
	return fmt.Errorf("mcp: scan: %w: %w", ErrSyntax, err)
}

// object reads the object that is next and notes where its fields are.
func (s *scanner) object(l level) (Span, error) {
	if _, err := s.dec.ReadToken(); err != nil {
		return Span{}, err
	}
	start := int(s.dec.InputOffset()) - 1
	var seen uint64
	for s.dec.PeekKind() != '}' {
		name, err := s.dec.ReadValue()
		if err != nil {
			return Span{}, err
		}
		if err := s.value(s.field(l, name, &seen)); err != nil {
			return Span{}, err
		}
	}
	_, err := s.dec.ReadToken()
	return Span{start, int(s.dec.InputOffset())}, err
}

// field returns what the member is to the scan, and refuses the second one of a kind.
func (s *scanner) field(l level, name jsontext.Value, seen *uint64) field {
	key := s.text(name)
	f, result := lookup(l, key), fieldNone
	if f != fieldNone {
		result = f
	} else if f = lookupFolded(l, key); f == fieldNone {
		return fieldNone
	}
	if *seen&(1<<f) != 0 {
		s.refuse(ErrDuplicate)
		s.twoIDs = s.twoIDs || f == topID
	}
	*seen |= 1 << f
	return result
}

func (s *scanner) refuse(err error) {
	if s.refused == nil {
		s.refused = err
	}
}

// value reads the value that is next, looking into the objects whose members matter.
func (s *scanner) value(f field) error {
	var at Span
	if l := inner(f); l != levelTop && s.dec.PeekKind() == '{' {
		var err error
		if at, err = s.object(l); err != nil {
			return err
		}
	} else {
		v, err := s.dec.ReadValue()
		if err != nil {
			return err
		}
		end := int(s.dec.InputOffset())
		at = Span{end - len(v), end}
	}
	if f != fieldNone {
		s.spans[f] = at
	}
	return nil
}

// inner returns the level of the field's own members, levelTop when they do not matter.
func inner(f field) level {
	switch f {
	case topParams:
		return levelParams
	case paramMeta:
		return levelMeta
	case topResult:
		return levelResult
	case resultTask:
		return levelTask
	}
	return levelTop
}

// text returns the text of a JSON string; empty for other values. It is valid until the next call.
func (s *scanner) text(v []byte) []byte {
	if len(v) < 2 || v[0] != '"' {
		return nil
	}
	plain := v[1 : len(v)-1]
	if bytes.IndexByte(plain, '\\') < 0 {
		return plain
	}
	// The only possible error is an unpaired surrogate, which becomes U+FFFD as in other decoders.
	s.scratch, _ = jsontext.AppendUnquote(s.scratch[:0], v)
	return s.scratch
}

// tooDeep reports whether body nests deeper than MaxDepth; in malformed JSON it may be wrong.
func tooDeep(body []byte) bool {
	// Counting is a tenth of the work, and enough for nearly every message.
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) <= MaxDepth {
		return false
	}
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = stringEnd(body, i+1)
		case '{', '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// stringEnd returns the index of the quote that ends the string whose text starts at i.
func stringEnd(body []byte, i int) int {
	for i < len(body) {
		n := bytes.IndexByte(body[i:], '"')
		if n < 0 {
			return len(body)
		}
		i += n
		if backslashes(body[:i])%2 == 0 {
			return i
		}
		i++
	}
	return i
}

func backslashes(b []byte) int {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n
}
