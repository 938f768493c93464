package control

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/authority"
)

// An entry of the log is a byte that says what it is, and its body.
const (
	entryAuthority = 1 // an encoded authority.Command
	entryPart      = 2 // a byte of length, the name of a part, its command
	entryMark      = 3 // an id: every gateway keeps the digest of its state here
	entryLoad      = 4 // what Save returned: it takes the place of the parts
)

// maxEntry bounds an entry, in bytes.
const maxEntry = 2 << 20

// maxMark bounds the id of a mark, in bytes.
const maxMark = 64

func authorityEntry(c authority.Command) ([]byte, error) {
	b, err := authority.Encode(c)
	if err != nil {
		return nil, err
	}
	return append([]byte{entryAuthority}, b...), nil
}

func partEntry(part string, command []byte) ([]byte, error) {
	if part == "" || len(part) > authority.MaxName || len(command) > maxEntry-authority.MaxName-2 {
		return nil, fmt.Errorf("%w: a command of %d bytes for part %.40q", ErrRefused, len(command), part)
	}
	b := append([]byte{entryPart, byte(len(part))}, part...)
	return append(b, command...), nil
}

func markEntry(id string) []byte { return append([]byte{entryMark}, id[:min(len(id), maxMark)]...) }

// splitPart is the inverse of partEntry, less the first byte.
func splitPart(b []byte) (part string, command []byte, err error) {
	if len(b) < 1 || len(b) < 1+int(b[0]) {
		return "", nil, errors.New("an entry for a part is cut")
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], nil
}
