package control

import (
	"fmt"

	"github.com/quorate/quorate/internal/authority"
)

// entitled returns why a gateway may not have an entry committed, or nil. Of authority, others propose what concerns
// their own lives; what judges voters, rules and other gateways' lives comes from the leader itself.
func entitled(gateway string, entry []byte) error {
	if len(entry) == 0 || entry[0] != entryAuthority {
		return nil
	}
	c, err := authority.Decode(entry[1:])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if of(c) != gateway {
		return fmt.Errorf("%w: it is not for %.64q to propose %T", ErrRefused, gateway, c)
	}
	return nil
}

// of is whose life a command is about; "" for those that only the leader proposes.
func of(c authority.Command) string {
	switch c := c.(type) {
	case authority.Join:
		return c.Gateway
	case authority.Leave:
		return c.Life.Gateway
	case authority.Suspect:
		return c.Life.Gateway
	case authority.Take:
		return c.Claimant.Gateway
	case authority.Takes:
		return ofAll(c.Claims)
	}
	return ""
}

// ofAll is the gateway whose claims all of these are, "" for those of several.
func ofAll(claims []authority.Take) string {
	gateway := ""
	for i := range claims {
		if g := claims[i].Claimant.Gateway; i == 0 {
			gateway = g
		} else if g != gateway {
			return ""
		}
	}
	return gateway
}
