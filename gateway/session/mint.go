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

// mint returns an id for a new session, and the life that owns it; 0: it is this process's alone.
func (m *Manager) mint() (id string, life uint64) {
	if m.cfg.Keeper == nil {
		return mint(), 0
	}
	return m.cfg.Keeper.Mint()
}

// own makes life the owner of a session that nobody knows yet.
func (s *session) own(life uint64) {
	s.life.Store(life)
	s.streams.names = life != 0
}

// Hash returns the only form in which a session id may be logged.
func Hash(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:hashBytes])
}
