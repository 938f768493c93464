package dns

import (
	"slices"
	"strings"

	miekg "github.com/miekg/dns"
)

// outcome is what became of a question, from good to bad.
type outcome uint8

const (
	answered outcome = iota // with endpoints
	empty                   // no such records, or no service here
	nxdomain                // no such name
	servfail                // SERVFAIL, REFUSED and the like
	bogus                   // SERVFAIL because signatures are bad (RFC 8914)
	silent                  // no reply, none in time, or none that is understood
)

// rcode returns the outcome of a reply without regard to its records, and what it says in a word.
func rcode(m *miekg.Msg) (outcome, string) {
	text, known := miekg.RcodeToString[m.Rcode]
	if !known {
		text = "an unknown RCODE"
	}
	extended := extendedErrors(m)
	for _, e := range extended {
		text += ": " + says(e)
	}
	switch {
	case (m.Rcode == miekg.RcodeSuccess || m.Rcode == miekg.RcodeNameError) && slices.ContainsFunc(extended, withheld):
		return servfail, text
	case m.Rcode == miekg.RcodeSuccess:
		return answered, text
	case m.Rcode == miekg.RcodeNameError:
		return nxdomain, text
	case m.Rcode == miekg.RcodeServerFailure && slices.ContainsFunc(extended, badSignature):
		return bogus, text
	}
	return servfail, text
}

// extendedErrors returns at most three extended errors (RFC 8914).
func extendedErrors(m *miekg.Msg) []*miekg.EDNS0_EDE {
	opt := m.IsEdns0()
	if opt == nil {
		return nil
	}
	var all []*miekg.EDNS0_EDE
	for _, o := range opt.Option {
		if e, ok := o.(*miekg.EDNS0_EDE); ok && len(all) < 3 {
			all = append(all, e)
		}
	}
	return all
}

// badSignature reports the extended errors that say that a validation failed.
func badSignature(e *miekg.EDNS0_EDE) bool {
	switch e.InfoCode {
	case miekg.ExtendedErrorCodeDNSBogus, miekg.ExtendedErrorCodeSignatureExpired,
		miekg.ExtendedErrorCodeSignatureNotYetValid, miekg.ExtendedErrorCodeDNSKEYMissing,
		miekg.ExtendedErrorCodeRRSIGsMissing, miekg.ExtendedErrorCodeNoZoneKeyBitSet,
		miekg.ExtendedErrorCodeNSECMissing, miekg.ExtendedErrorCodeSignatureExpiredBeforeValid:
		return true
	}
	return false
}

// withheld reports the extended errors that say that the truth was kept back as a matter of policy.
func withheld(e *miekg.EDNS0_EDE) bool {
	switch e.InfoCode {
	case miekg.ExtendedErrorCodeForgedAnswer, miekg.ExtendedErrorCodeBlocked, miekg.ExtendedErrorCodeCensored,
		miekg.ExtendedErrorCodeFiltered, miekg.ExtendedErrorCodeProhibited:
		return true
	}
	return false
}

// says returns an extended error in words. Its extra text is the resolver's, for people.
func says(e *miekg.EDNS0_EDE) string {
	text, known := miekg.ExtendedErrorCodeToString[e.InfoCode]
	if !known {
		text = "unknown extended error"
	}
	if e.ExtraText != "" {
		text += " (" + plain(e.ExtraText, 80) + ")"
	}
	return text
}

// plain returns at most limit bytes of a text from outside, with what is not printable ASCII as "?".
func plain(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	if len(text) > limit {
		return text[:limit-3] + "..."
	}
	return text
}
