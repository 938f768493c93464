// Package sessionid writes and reads the ids of sessions that outlive the gateway that minted them: an id names the
// life that minted it and when, and proves both under the fleet's key. It must not know who owns a session, where its
// contents are, or what time it is.
package sessionid

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// Bounds of an id.
const (
	// Lifetime is how long an id is good, from its minting. It bounds how long claims and deletions are remembered.
	Lifetime = 24 * time.Hour
	// KeyBytes is the length of a fleet's key.
	KeyBytes = 32
	// MaxGateway is the longest name of a gateway that an id can carry, in bytes.
	MaxGateway = 128
	// MaxLength is the longest id, in bytes. With a name of up to 40 bytes an id has at most 128.
	MaxLength = len(prefix) + (headBytes+MaxGateway+macBytes)*4/3 + 1
)

const (
	prefix      = "q1"
	format      = 1
	randomBytes = 16
	macBytes    = 16                      // of HMAC-SHA256: 128 bits, as much as the random part has
	headBytes   = 1 + 8 + 8 + randomBytes // format, incarnation, mint time, random part
)

// ErrForged says that an id was not minted under this key: nobody has a session by that name.
var ErrForged = errors.New("sessionid: not an id of this fleet")

// ID is what an id says.
type ID struct {
	Minter authority.Life
	Minted time.Time // in whole seconds, by the minter's clock
	random [randomBytes]byte
}

// New returns a new id of this life. The gateway's name must have 1 to MaxGateway bytes.
func New(minter authority.Life, now time.Time) (ID, error) {
	if n := len(minter.Gateway); n < 1 || n > MaxGateway || minter.Incarnation == 0 {
		return ID{}, fmt.Errorf("sessionid: new: %s cannot mint", minter)
	}
	id := ID{Minter: minter, Minted: time.Unix(now.Unix(), 0)}
	rand.Read(id.random[:]) // never fails: crypto/rand ends the program instead
	return id, nil
}

// Until is when the id's own lifetime ends.
func (i ID) Until() time.Time { return i.Minted.Add(Lifetime) }

// Over reports whether the id's lifetime has ended.
func (i ID) Over(now time.Time) bool { return !now.Before(i.Until()) }

// payload is what the record is named by, and what the id proves.
func (i ID) payload() []byte {
	b := make([]byte, 0, headBytes+len(i.Minter.Gateway)+macBytes)
	b = append(b, format)
	b = binary.BigEndian.AppendUint64(b, uint64(i.Minter.Incarnation))
	b = binary.BigEndian.AppendUint64(b, uint64(i.Minted.Unix()))
	b = append(b, i.random[:]...)
	return append(b, i.Minter.Gateway...)
}

// Record names the session's record: the id without its proof, so that who reads a log or a store of records cannot
// ask for the session.
func (i ID) Record() string { return base64.RawURLEncoding.EncodeToString(i.payload()) }

// Sign returns the id as the agent gets it: visible ASCII, at most MaxLength bytes.
func (i ID) Sign(key []byte) string {
	p := i.payload()
	return prefix + base64.RawURLEncoding.EncodeToString(append(p, mac(key, p)...))
}

func mac(key, payload []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("session id"))
	h.Write(payload)
	return h.Sum(nil)[:macBytes]
}

// Parse reads an agent's id. ErrForged: it was not minted under this key, or by a release that this one cannot read.
func Parse(key []byte, id string) (ID, error) {
	text, ok := strings.CutPrefix(id, prefix)
	if !ok || len(id) > MaxLength {
		return ID{}, ErrForged
	}
	b, err := decode(text)
	if err != nil || len(b) <= headBytes+macBytes {
		return ID{}, ErrForged
	}
	p, proof := b[:len(b)-macBytes], b[len(b)-macBytes:]
	if !hmac.Equal(proof, mac(key, p)) {
		return ID{}, ErrForged
	}
	return read(p)
}

// ParseRecord reads the name of a record. Nothing proves it.
func ParseRecord(record string) (ID, error) {
	if len(record) > MaxLength {
		return ID{}, ErrForged
	}
	b, err := decode(record)
	if err != nil {
		return ID{}, err
	}
	return read(b)
}

// decode reads the only text for some bytes: the decoder would overlook ends of lines.
func decode(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, ErrForged
	}
	return b, nil
}

func read(p []byte) (ID, error) {
	if len(p) <= headBytes || len(p) > headBytes+MaxGateway || p[0] != format {
		return ID{}, ErrForged
	}
	id := ID{Minter: authority.Life{Gateway: string(p[headBytes:]), Incarnation: authority.Index(binary.BigEndian.Uint64(p[1:]))}}
	seconds := binary.BigEndian.Uint64(p[9:])
	if seconds > maxSeconds || id.Minter.Incarnation == 0 {
		return ID{}, ErrForged
	}
	id.Minted = time.Unix(int64(seconds), 0)
	copy(id.random[:], p[17:])
	return id, nil
}

// maxSeconds is the year 9999: no time beyond it is reckoned with.
const maxSeconds = 253402300799

// Shaped reports whether an id could be one of a fleet's, whatever its key is.
func Shaped(id string) bool { return strings.HasPrefix(id, prefix) && len(id) <= MaxLength }
