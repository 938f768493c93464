package mcp

import "fmt"

// MaxBatch is the most messages a batch may hold.
const MaxBatch = 256

// ScanBatch reads the members of a batch in order, as Scan reads one message, and gives each to yield
// with its place in body; the envelope's spans are ranges of body too. It stops at the first member that
// is no message, or when yield returns an error, which it returns as it is. Members before a bad one
// have been yielded by then, so act on none before ScanBatch returned nil.
func ScanBatch(body []byte, yield func(Span, Envelope) error) error {
	s, err := newScanner(body)
	if err != nil {
		return err
	}
	defer s.free()
	if s.dec.PeekKind() != '[' {
		return fmt.Errorf("mcp: scan: %w: not an array", ErrNotJSONRPC)
	}
	if _, err := s.dec.ReadToken(); err != nil {
		return syntax(err)
	}
	n := 0
	for ; s.dec.PeekKind() != ']'; n++ {
		if n == MaxBatch {
			return fmt.Errorf("mcp: scan: %w: more than %d messages", ErrBatch, MaxBatch)
		}
		if err := s.batchMember(yield); err != nil {
			return err
		}
	}
	if _, err := s.dec.ReadToken(); err != nil {
		return syntax(err)
	}
	if n == 0 {
		return fmt.Errorf("mcp: scan: %w: no message", ErrBatch)
	}
	return s.end()
}

func (s *scanner) batchMember(yield func(Span, Envelope) error) error {
	env, err := s.message()
	if err != nil {
		return err
	}
	return yield(s.whole, env)
}
