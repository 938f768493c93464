package config

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
)

// maxToken is the longest bearer token, in bytes.
const maxToken = 4096

var (
	errNoToken  = errors.New("holds no token")
	errBadToken = errors.New("holds more than one word")
)

// parseToken takes the token out of a token file: one word, white space around it is not part of it.
func parseToken(data []byte) ([]byte, error) {
	token := bytes.TrimSpace(data)
	if len(token) == 0 {
		return nil, errNoToken
	}
	if len(token) > maxToken || bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errBadToken
	}
	return token, nil
}

// Token is the bearer token in a file, read again when the file changes. A file that became
// unreadable or empty leaves the last good token in force.
type Token struct{ file *reloaded[[sha256.Size]byte] }

// NewToken reads the token in the file at path; an error says why it cannot.
func NewToken(path string) (*Token, error) {
	file, err := newReloaded(func() ([sha256.Size]byte, error) {
		data, err := readFile(path)
		if err != nil {
			return [sha256.Size]byte{}, err
		}
		token, err := parseToken(data)
		return sha256.Sum256(token), err
	}, path)
	if err != nil {
		return nil, fmt.Errorf("config: token: %w", err)
	}
	return &Token{file}, nil
}

// Problem returns why the file as it is now is not used, so that an older token still lets its bearers in; nil while it is.
func (t *Token) Problem() error { return t.file.problem() }

// Match reports whether word is the token, in time that does not depend on where they differ.
func (t *Token) Match(word string) bool {
	want, got := t.file.get(), sha256.Sum256([]byte(word))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
