package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/quorate/quorate/regions"
)

// contentsFormat is the format of contents. A gateway goes on with older ones; one that has not heard of a newer
// one must not guess.
const contentsFormat = 1

// ErrFormat is about contents of a newer release.
var ErrFormat = errors.New("session: contents of a newer format")

// contents is what another gateway has to know to go on with a session: what a region's gateway has to, and where
// it is at its node, so that nothing moves when only the gateway was lost. Never any credentials: whoever goes on
// does so with those of the agent's own next request.
type contents struct {
	Format int `json:"format"`
	adoption
	Key      uint64         `json:"key"`
	Node     regions.NodeID `json:"node,omitempty"`
	Upstream string         `json:"upstream,omitempty"` // the node's own id of the session
}

// contents writes down the session as it is; false if that is too much for a record.
func (s *session) contents() ([]byte, bool) {
	c := contents{Format: contentsFormat, adoption: s.describe(), Key: s.key}
	if p := s.where(); p.placed() && !p.lost.Load() && !forwards(p.node) {
		c.Node, c.Upstream = p.node.ID(), p.id
	}
	body, err := json.Marshal(c)
	return body, err == nil && len(body) <= maxAdoption
}

func readContents(body []byte) (*contents, *adopted, error) {
	var c contents
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, nil, fmt.Errorf("session: contents: %w", err)
	}
	if c.Format > contentsFormat {
		return nil, nil, fmt.Errorf("%w: %d", ErrFormat, c.Format)
	}
	if c.Format < 1 {
		return nil, nil, fmt.Errorf("session: contents: %w", errAdoption)
	}
	a, err := c.read()
	if err != nil {
		return nil, nil, fmt.Errorf("session: contents: %w", err)
	}
	return &c, a, nil
}

// same reports whether two say the same of what the agent has set and where its session is.
func (c *contents) same(d *contents) bool {
	a, b := *c, *d
	a.Listens, b.Listens = false, false
	one, err1 := json.Marshal(a)
	two, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(one, two)
}
