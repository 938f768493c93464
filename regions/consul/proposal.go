package consul

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/quorate/quorate/regions"
)

// Keys of an instance's meta that this source reads.
const (
	MetaScheme  = "quorate-scheme"      // "http" or "https"
	MetaPath    = "quorate-path"        // the MCP endpoint's path
	MetaVersion = "quorate-version"     // shown to operators
	MetaGroup   = "quorate-group"       // shown to operators
	MetaSPKI    = "quorate-spki-sha256" // Identity.SPKI, in hexadecimal digits of either case
	MetaTLSName = "quorate-tls-name"    // Identity.TLSName
	MetaSPIFFE  = "quorate-spiffe-id"   // Identity.SPIFFE
)

const (
	maxID   = 512 // bytes of a node id
	maxWord = 128 // bytes of a version or group
)

// proposal makes a node of an instance, or says why it cannot be one.
func (c *Config) proposal(i *instance) (regions.Proposal, error) {
	p := regions.Proposal{
		ID: regions.NodeID(i.id()), Service: c.Service, Region: c.Region, Source: Name, Weight: i.weight(),
		Version: i.Service.Meta[MetaVersion], Group: i.Service.Meta[MetaGroup],
	}
	if i.Service.ID == "" || len(p.ID) > maxID {
		return p, fmt.Errorf("its id is empty or longer than %d bytes", maxID)
	}
	if !word(p.Version) || !word(p.Group) {
		return p, fmt.Errorf("%s or %s is not printable or longer than %d bytes", MetaVersion, MetaGroup, maxWord)
	}
	var err error
	if p.Identity, err = identity(c.Identity, i.Service.Meta); err != nil {
		return p, err
	}
	usual := "http"
	if !p.Identity.None() {
		usual = "https" // nothing can be proven without TLS
	}
	if p.URL, err = c.url(i, usual); err != nil {
		return p, err
	}
	// Weights are scaled when all are known; until then they may be larger than a proposal's.
	checked := p
	checked.Weight = 1
	return p, regions.CheckProposal(checked)
}

func word(s string) bool {
	return len(s) <= maxWord && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// url is where the instance's MCP endpoint is. Its port belongs to the registration, so there is no default.
func (c *Config) url(i *instance, usual string) (string, error) {
	scheme := cmp.Or(i.Service.Meta[MetaScheme], c.Scheme, usual)
	path := cmp.Or(i.Service.Meta[MetaPath], c.Path)
	port := i.port()
	switch {
	case scheme != "http" && scheme != "https":
		return "", fmt.Errorf("%s is neither http nor https", MetaScheme)
	case !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " ?#") || !word(path):
		return "", fmt.Errorf("%s is not a path", MetaPath)
	case port < 1 || port > 65535:
		return "", fmt.Errorf("port %d is outside 1..65535", port)
	}
	host, err := hostPort(i.address(), port)
	if err != nil {
		return "", err
	}
	return scheme + "://" + host + path, nil
}

// hostPort joins an IP address or a name with a port, as a URL has them.
func hostPort(address string, port int) (string, error) {
	if len(address) > 2 && address[0] == '[' && address[len(address)-1] == ']' {
		address = address[1 : len(address)-1]
	}
	if strings.Contains(address, ":") {
		ip, err := netip.ParseAddr(address)
		if err != nil {
			return "", errors.New("its address is neither an IP address nor a name")
		}
		// A zone's percent sign is escaped in a URL (RFC 6874).
		address = strings.Replace(ip.String(), "%", "%25", 1)
	} else if !hostName(address) {
		return "", errors.New("its address is neither an IP address nor a name")
	}
	return net.JoinHostPort(address, strconv.Itoa(port)), nil
}

func hostName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 253
}

// identity adds what an instance's meta asks for to what the service asks for. The catalog can only add: what is written
// into it must not loosen what the gateway's own configuration demands.
func identity(of regions.Identity, meta map[string]string) (regions.Identity, error) {
	if len(meta) == 0 {
		return of, nil
	}
	if spki := strings.ToLower(meta[MetaSPKI]); spki != "" {
		if raw, err := hex.DecodeString(spki); err != nil || len(raw) != 32 {
			return of, fmt.Errorf("%s is not 64 hexadecimal digits", MetaSPKI)
		}
		if of.SPKI != "" && of.SPKI != spki {
			return of, fmt.Errorf("%s is not the key that the service asks for", MetaSPKI)
		}
		of.SPKI = spki
	}
	if id := meta[MetaSPIFFE]; id != "" {
		if !spiffe(id) {
			return of, fmt.Errorf("%s is not a SPIFFE ID", MetaSPIFFE)
		}
		if of.SPIFFE != "" && of.SPIFFE != id {
			return of, fmt.Errorf("%s is not the one that the service asks for", MetaSPIFFE)
		}
		of.SPIFFE = id
	}
	if name := meta[MetaTLSName]; name != "" {
		if !hostName(strings.TrimPrefix(name, "*.")) {
			return of, fmt.Errorf("%s is not a name", MetaTLSName)
		}
		if of.TLSName != "" && !within(name, of.TLSName) {
			return of, fmt.Errorf("%s is not within the name that the service asks for", MetaTLSName)
		}
		of.TLSName = name
	}
	return of, nil
}

// spiffe reports the form spiffe://TRUST-DOMAIN/PATH (SPIFFE-ID section 2).
func spiffe(id string) bool {
	u, err := url.Parse(id)
	return err == nil && len(id) <= 2048 && u.Scheme == "spiffe" && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// within reports that a name asks for no less than another, whose "*." stands for one label.
func within(name, wide string) bool {
	if strings.EqualFold(name, wide) {
		return true
	}
	suffix, wild := strings.CutPrefix(wide, "*")
	label := len(name) - len(suffix)
	return wild && label > 0 && strings.EqualFold(name[label:], suffix) && !strings.ContainsAny(name[:label], ".*")
}

// scale brings weights into 1..regions.MaxWeight: as they are when they all fit, else in proportion to the largest.
func scale(nodes []regions.Proposal) {
	largest := 0
	for _, n := range nodes {
		largest = max(largest, n.Weight)
	}
	if largest <= regions.MaxWeight {
		return
	}
	for i := range nodes {
		nodes[i].Weight = max(1, int(int64(nodes[i].Weight)*regions.MaxWeight/int64(largest)))
	}
}
