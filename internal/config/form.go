package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/quorate/quorate/gateway/route"
)

// NamePattern is the form of names and ids: they stand in metrics, logs, headers and status.
const NamePattern = `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`

var nameForm = regexp.MustCompile(NamePattern)

// forms returns the check that goes with the name in an "is" tag, nil for none.
func forms(name string) func(string) *fault {
	switch name {
	case "name":
		return checkName
	case "address":
		return checkAddress
	case "url":
		return checkURL
	case "path":
		return checkPath
	case "glob":
		return checkGlob
	case "host":
		return checkHost
	case "origin":
		return checkOrigin
	case "resolver":
		return checkResolver
	case "domain":
		return checkDomain
	case "pattern":
		return checkNamePattern
	case "file", "directory":
		return checkFileName
	case "executable":
		return checkExecutable
	case "sha256":
		return checkSHA256
	case "lease":
		return checkLease
	case "option", "argument":
		return checkOption
	}
	return nil
}

func checkName(s string) *fault {
	if nameForm.MatchString(s) {
		return nil
	}
	return &fault{show(s) + " is not a name", "1 to 64 letters, digits, dots, hyphens and underscores such as us-east-1"}
}

func checkAddress(s string) *fault {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !isPort(port) || !isHostOrEmpty(host) {
		return &fault{show(s) + " is not an address", "HOST:PORT such as 127.0.0.1:8080 or [::1]:8080"}
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}

func isHostOrEmpty(s string) bool { return s == "" || isHost(s) }

// isHost accepts an IP address without brackets or a host name.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// checkURL takes http and https URLs of a server. User information is refused without being shown:
// it is a secret that would end in logs and in status.
func checkURL(s string) *fault {
	const write = "an http or https URL such as http://127.0.0.1:9001/mcp"
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return &fault{"the value is not a URL", write}
	case u.User != nil:
		return &fault{"the URL holds a user name or password", "the URL without them"}
	case u.Scheme != "http" && u.Scheme != "https", !isHost(u.Hostname()), u.Opaque != "":
		return &fault{show(s) + " is not a URL of a server", write}
	case strings.HasSuffix(u.Host, ":"), u.Port() != "" && (!isPort(u.Port()) || u.Port() == "0"):
		return &fault{show(s) + " has no valid port", "a port from 1 to 65535"}
	case u.Fragment != "" || strings.HasSuffix(s, "#"):
		return &fault{show(s) + " has a fragment", "the URL without # and what follows"}
	}
	return nil
}

func checkPath(s string) *fault {
	const write = "a path such as /mcp, at most 256 bytes, without a slash at the end, ?, #, %, .. or spaces"
	if s[0] != '/' || len(s) > 256 || path.Clean(s) != s || strings.ContainsFunc(s, notInPath) {
		return &fault{show(s) + " is not a URL path", write}
	}
	return nil
}

// notInPath refuses what a URL would have to escape, so that a path has one spelling only.
func notInPath(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`?#%\"<>^{}|`+"`", r)
}

func checkGlob(s string) *fault {
	if _, err := route.CompileGlob(s); err != nil {
		return &fault{show(s) + " is not a pattern", `a pattern such as charge_*, with \ before a [, ? or * that is meant as it is`}
	}
	return nil
}

func checkHost(s string) *fault {
	if s == "*" || isHost(s) {
		return nil
	}
	if host, port, err := net.SplitHostPort(s); err == nil && isPort(port) && isHost(host) {
		return &fault{show(s) + " has a port", show(host) + ": the port is not compared"}
	}
	return &fault{show(s) + " is not a host name", "a name such as mcp.example.com, an IP address, or *"}
}

func checkOrigin(s string) *fault {
	const write = "an origin such as https://app.example.com, or *"
	if s == "*" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Scheme == "" || !isHost(u.Hostname()) {
		return &fault{"the value is not an origin", write}
	}
	if !strings.EqualFold(u.Scheme+"://"+u.Host, s) {
		return &fault{show(s) + " is more than an origin", fmt.Sprintf("%s://%s, without a path", u.Scheme, u.Host)}
	}
	return nil
}

// checkResolver takes IP:PORT, tcp://IP:PORT and tls://IP:PORT#NAME.
func checkResolver(s string) *fault {
	const write = "IP:PORT, tcp://IP:PORT or tls://IP:PORT#NAME, such as 127.0.0.1:53"
	at, name := s, ""
	if rest, ok := strings.CutPrefix(s, "tls://"); ok {
		at, name, _ = strings.Cut(rest, "#")
	} else if rest, ok := strings.CutPrefix(s, "tcp://"); ok {
		at = rest
	}
	addr, err := netip.ParseAddrPort(at)
	if err != nil || addr.Port() == 0 || name != "" && !isHost(name) {
		return &fault{show(s) + " is not a resolver", write}
	}
	return nil
}

// checkDomain takes a name in DNS, with a dot at its end or without.
func checkDomain(s string) *fault {
	if isHost(strings.TrimSuffix(s, ".")) {
		return nil
	}
	return &fault{show(s) + " is not a name in DNS", "a name such as _mcp._tcp.search.example.com"}
}

// checkNamePattern takes the name of a certificate, perhaps with *. before it.
func checkNamePattern(s string) *fault {
	if isHost(strings.TrimPrefix(s, "*.")) {
		return nil
	}
	return &fault{show(s) + " is not a certificate's name", "a name such as search.example.com or *.search.example.com"}
}

// isToken reports whether s can be the name of a header field (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	return s != "" && len(s) <= 128 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") == ""
}

// globMatches applies a pattern that was checked.
func globMatches(pattern, name string) bool {
	g, err := route.CompileGlob(pattern)
	return err == nil && g.Match(name)
}

func checkFileName(s string) *fault {
	if len(s) > 4096 || strings.ContainsRune(s, 0) {
		return &fault{show(s) + " is not a file name", "a path of at most 4096 bytes without NUL"}
	}
	return nil
}
