package consul

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// maxToken bounds a token file, in bytes.
const maxToken = 4 << 10

// token is an ACL token in a file that somebody else renews. It is read again for every request: a file's time may say
// too little, and requests are few. Its text never gets into an error.
type token struct {
	file string // "" for none

	mu   sync.Mutex
	last string // the last good one
}

// current returns the token as the file has it now. While the file cannot be read the last good one stays in use, since
// a renewal may be halfway through; err then says so.
func (t *token) current() (string, error) {
	if t.file == "" {
		return "", nil
	}
	text, err := readToken(t.file)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.last = text
	}
	return t.last, err
}

// hide takes the token out of a text, should a server have put it in.
func (t *token) hide(text string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == "" {
		return text
	}
	return strings.ReplaceAll(text, t.last, "[token]")
}

func readToken(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case len(raw) > maxToken:
		return "", fmt.Errorf("token file: %s: larger than %d bytes", file, maxToken)
	case text == "":
		return "", fmt.Errorf("token file: %s: empty", file)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", errors.New("token file: " + file + ": a token has only printable characters and no spaces")
	}
	return text, nil
}
