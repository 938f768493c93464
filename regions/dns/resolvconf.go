package dns

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"

	miekg "github.com/miekg/dns"
)

// maxResolvConf bounds the bytes read of a resolv.conf file.
const maxResolvConf = 64 << 10

// system is what a resolv.conf file says.
type system struct {
	resolvers, search []string
	ndots             int
	timeout           time.Duration
	tries             int
}

func readResolvConf(file string) (system, error) {
	f, err := os.Open(file)
	if err != nil {
		return system{}, err
	}
	defer f.Close()
	return parseResolvConf(io.LimitReader(f, maxResolvConf))
}

// parseResolvConf reads resolv.conf(5). A resolver that is listed twice counts once. ndots:0 counts as 1.
func parseResolvConf(r io.Reader) (system, error) {
	c, err := miekg.ClientConfigFromReader(r)
	if err != nil {
		return system{}, err
	}
	s := system{ndots: c.Ndots, timeout: time.Duration(min(c.Timeout, 30)) * time.Second, tries: min(c.Attempts, 5)}
	for _, server := range c.Servers {
		if text := net.JoinHostPort(server, c.Port); !slices.Contains(s.resolvers, text) {
			s.resolvers = append(s.resolvers, text)
		}
	}
	for _, domain := range c.Search {
		if domain != "." { // the root: the name as it is, which is tried anyway
			s.search = append(s.search, domain)
		}
	}
	if len(s.resolvers) == 0 {
		return s, errors.New("no nameserver is named")
	}
	return s, nil
}

// into fills in what c does not set.
func (s system) into(c Config) Config {
	c.Resolvers = s.resolvers
	if c.Search == nil {
		c.Search = s.search
	}
	c.Ndots = cmp.Or(c.Ndots, s.ndots)
	c.Timeout, c.Tries = cmp.Or(c.Timeout, s.timeout), cmp.Or(c.Tries, s.tries)
	return c
}

// searchList returns the fully qualified names to try for name, in order, as resolv.conf(5) has it: with ndots dots
// or more the name itself first, otherwise last.
func searchList(name string, search []string, ndots int) []string {
	stub := miekg.ClientConfig{Search: search, Ndots: ndots}
	var names []string
	for _, n := range stub.NameList(name) {
		if n = miekg.CanonicalName(n); hostname(n) && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}
