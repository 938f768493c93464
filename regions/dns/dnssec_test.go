package dns

import (
	"errors"
	"net/netip"
	"testing"
)

// What counts under each mode, by the views of three resolvers. Letters: t trusted, u untrusted; then + validated,
// - without AD, b bogus, x a validated NXDOMAIN, e an empty answer without AD; then the target's number and, after an
// at sign, that the address came without the AD bit, after an exclamation mark, that it is bogus.
func TestSift(t *testing.T) {
	for _, tc := range []struct {
		views string
		mode  Validation
		want  string // as in summary, of all views
		err   error
	}{
		{"t+1 t-1 u-1", Off, "n1[10.0.0.1] yyy", nil},
		{"t-1 t-1 u-1", Prefer, "n1[10.0.0.1] yyy", nil},
		{"t+1 t+1 u-2", Prefer, "n1[10.0.0.1] yyn", nil},
		{"t+1 t-1 u-1", Prefer, "nnn", ErrBogus},
		{"t+1 u+2 u+2", Prefer, "nnn", ErrNoAgreement}, // forged AD bits
		{"t+1 u+1 u+2", Prefer, "n1[10.0.0.1] yyn", nil},
		{"ub0 t-1 u-1", Prefer, "n1[10.0.0.1] nyy", nil}, // anybody can say bogus
		{"tb0 u-2 u-2", Prefer, "nnn", ErrBogus},
		{"tb0 u+2 u+2", Prefer, "nnn", ErrBogus},
		{"tx0 u+2 u+2", Prefer, "nnn", ErrNoAgreement},
		{"tx0 tx0 u-2", Prefer, "nnn", ErrNXDomain},
		{"te0 te0 u-2", Prefer, "nnn", ErrEmpty},
		{"t+1 t+1 u+1", Require, "n1[10.0.0.1] yyn", nil},
		{"t+1 u+1 u+1", Require, "nnn", ErrUnanswered},
		{"t-1 t-1 t-1", Require, "nnn", ErrBogus},
		{"t+1 t-1 t-1", Require, "nnn", ErrBogus},
		{"tb0 tb0 t+1", Require, "nnn", ErrBogus},
		{"tb0 tb0 t+1", Off, "nnn", ErrBogus},
		{"tb0 t+1 t+1", Require, "n1[10.0.0.1] nyy", nil},
		{"te0 te0 te0", Require, "nnn", ErrBogus}, // an absence that nobody signed
		{"tx0 tx0 t-1", Require, "nnn", ErrNXDomain},
		{"t+1@ t+1@ t+1@", Require, "nnn", ErrBogus}, // signed SRV records, unsigned addresses
		{"t+1@ t+1@ t+1@", Prefer, "n1[10.0.0.1] yyy", nil},
		{"t+1@ t+1@ u+1", Prefer, "n1[10.0.0.1] yyy", nil}, // anybody can set AD on an address
		{"t+1 t+1@ t+1@", Prefer, "nnn", ErrBogus},         // one confirms the address, two must
		{"t+1! u+1 u+1", Prefer, "nnn", ErrNoAgreement},    // forged AD bits on addresses that are bogus
		{"t+1! u+1@ u+1@", Prefer, "nnn", ErrBogus},
		{"t+1 t+1 t+1@", Prefer, "n1[10.0.0.1] yyy", nil},
	} {
		views := readViews(t, tc.views)
		v := judge(views, rule{agree: 2, confirm: true}, tc.mode)
		if got := summary(v.consensus); got != tc.want || !errors.Is(v.err, tc.err) || (v.err == nil) != (tc.err == nil) {
			t.Errorf("%s under %s: %q, %v; want %q, %v; uncounted %q", tc.views, tc.mode, got, v.err, tc.want, tc.err, v.uncounts)
		}
	}
}

func readViews(t *testing.T, text string) (views []view) {
	t.Helper()
	for i := 0; i < len(text); i += 4 {
		v := view{who: &resolver{trusted: text[i] == 't'}, ad: text[i+1] == '+' || text[i+1] == 'x'}
		switch text[i+1] {
		case 'b':
			v.outcome = bogus
		case 'x':
			v.outcome = nxdomain
		case 'e':
			v.outcome = empty
		default:
			n := int(text[i+2] - '0')
			e := endpoint{key: named(n).key, addrs: []netip.Addr{number(n)}, ttl: 60, secure: v.ad}
			if i+3 < len(text) && text[i+3] != ' ' {
				if e.secure, e.bogus = false, text[i+3] == '!'; e.bogus {
					e.addrs = nil
				}
				i++
			}
			v.endpoints = []endpoint{e}
		}
		views = append(views, v)
	}
	return views
}
