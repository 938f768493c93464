package peer

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

const (
	// MaxCluster is the longest name of a cluster and its generation, in bytes.
	MaxCluster = 128
	// maxAddress bounds an advertised address: a DNS name (RFC 1035 section 2.3.4), a colon and a port.
	maxAddress = 255 + 6
)

var (
	// ErrCluster says that the two sides belong to different clusters, or generations of one.
	ErrCluster = errors.New("different clusters")
	// errRegreet: what this gateway says of itself has changed, and it says it on new connections.
	errRegreet = errors.New("this gateway's cluster has changed")
)

// anew reports whether a link ended only to be made again at once.
func anew(err error) bool { return errors.Is(err, errRenewed) || errors.Is(err, errRegreet) }

// introduce returns this gateway's hello as of now.
func (p *Peers) introduce(probe bool) (hello, error) {
	h := p.hello
	h.Probe = probe
	if p.cfg.Cluster != nil {
		h.Cluster = p.cfg.Cluster()
	}
	if !named(h.Cluster) {
		return hello{}, fmt.Errorf("%w: cluster %q", ErrConfig, printable(h.Cluster))
	}
	return h, nil
}

// mixed returns why two gateways must not be linked: both belong to a cluster, and not to the same.
func mixed(theirs, mine hello, who Identity) error {
	if !named(theirs.Cluster) {
		return fmt.Errorf("%w: the hello names the cluster %q", ErrFrame, printable(theirs.Cluster))
	}
	if theirs.Cluster == "" || mine.Cluster == "" || theirs.Cluster == mine.Cluster {
		return nil
	}
	return fmt.Errorf("%w: %s is of cluster %s, %s of %s", ErrCluster,
		who.Gateway, brief(theirs.Cluster), mine.Gateway, brief(mine.Cluster))
}

// named reports whether a cluster's name is "" or as Config.Cluster says.
func named(cluster string) bool {
	return len(cluster) <= MaxCluster && !strings.ContainsFunc(cluster, func(r rune) bool { return r <= ' ' || r > '~' })
}

// brief cuts an id to what tells it from others.
func brief(id string) string {
	const most = 40
	if len(id) <= most {
		return id
	}
	return id[:most] + "..."
}

// advertised returns where the other side says that its listener is, "" for what could not be dialed.
func (h hello) advertised() string {
	if !reachable(h.Address) {
		return ""
	}
	return h.Address
}

// reachable reports whether an address is a HOST:PORT that another machine could dial.
func reachable(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || len(address) > maxAddress || host == "" || strings.ContainsFunc(address, unfit) {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	ip := net.ParseIP(host)
	return err == nil && n > 0 && (ip == nil || !ip.IsUnspecified())
}

// Regreet ends all links and streams, so that they are made anew at once with a hello that names the cluster as
// Config.Cluster returns it now. Links to gateways of another cluster are then refused.
func (p *Peers) Regreet() {
	p.era.Add(1) // first: what is greeting now either sees it or is in the directory by then
	for _, s := range p.directory.all() {
		s.end(errRegreet, byeRenewed)
	}
	p.streams.end(errRegreet)
}
