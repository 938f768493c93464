package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

const (
	mintBytes = 16 // 128 random bits: an id that was not minted here cannot be guessed
	hashBytes = 6  // of SHA-256, enough to tell sessions apart in a log
)

// mint returns a new session id: visible ASCII only, as the specification asks.
func mint() string {
	var b [mintBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// Hash returns the only form in which a session id may be logged.
func Hash(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:hashBytes])
}
