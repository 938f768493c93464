package admin

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/settings"
)

// Regions is the answer of /v1/regions. Its JSON keys are a contract with scripts: add, never rename.
type Regions struct {
	Regions []Region `json:"regions"`
	// Settings are what file and API say of regions, also of those that this gateway does not follow.
	Settings []Setting `json:"settings"`
}

// Region is one failure domain as this gateway sees it.
type Region struct {
	Name string `json:"name"`
	// Local says that the gateway runs there.
	Local bool `json:"local"`
	// State is "on", "degraded", "evacuating", "off" or "recovering"; Cause says why, Since when.
	State string `json:"state"`
	Cause string `json:"cause"`
	Since Time   `json:"since"`
	// Share is the part of the traffic that its distance alone would give it; Weight is Share as a part of all regions'.
	Share  float64 `json:"share"`
	Weight float64 `json:"weight"`
	RTTMS  float64 `json:"rtt_ms"`
	// Measured is false while the round trip is the configured one.
	Measured bool   `json:"measured"`
	Class    string `json:"class"`
	Via      string `json:"via"`
	Capacity int    `json:"capacity"`
	InFlight int64  `json:"in_flight"`
	// Breaker guards failover into the region: "closed", "open" or "half_open"; of the own region "closed".
	Breaker  string          `json:"breaker"`
	Order    *OrderStatus    `json:"order"`
	Links    []Link          `json:"links"`
	Vantages []Vantage       `json:"vantages"`
	History  []Change        `json:"history"`
	Services []RegionService `json:"services"`
}

// OrderStatus is the last order for a region.
type OrderStatus struct {
	State   string `json:"state"`
	Over    string `json:"over"`
	By      string `json:"by"`
	At      Time   `json:"at"`
	Gateway string `json:"gateway"`
	Refused bool   `json:"refused"` // it would leave no region in service
}

// Link is the way to one gateway of a region.
type Link struct {
	Gateway string  `json:"gateway"`
	Address string  `json:"address"`
	Up      bool    `json:"up"`
	Since   Time    `json:"since"`
	RTTMS   float64 `json:"rtt_ms"`
	Version string  `json:"version"`
	Error   string  `json:"error"`
}

// Vantage is what one gateway thinks of a region: "healthy", "failing" or "unknown".
type Vantage struct {
	Gateway string `json:"gateway"`
	Opinion string `json:"opinion"`
	AgeMS   int64  `json:"age_ms"`
}

// Change is one change of state and why it came.
type Change struct {
	At    Time   `json:"at"`
	From  string `json:"from"`
	To    string `json:"to"`
	Cause string `json:"cause"`
}

// RegionService is what a region has for one service. Through a gateway it has one node per gateway.
type RegionService struct {
	Name    string `json:"name"`
	Nodes   int    `json:"nodes"`
	Healthy int    `json:"healthy"`
}

// Nodes is the answer of /v1/nodes: the nodes of all services and regions.
type Nodes struct {
	Nodes []ServiceNode `json:"nodes"`
}

// ServiceNode is a node with the service it belongs to.
type ServiceNode struct {
	Service string `json:"service"`
	Node
}

// Order is what an operator wants of a region.
type Order struct {
	Region string
	State  string        // "on", "draining" or "off"
	Over   time.Duration // to shift its traffic away, 0 to 24 h
	By     string
}

// Errors of Config.Order that have an answer of their own; their text is shown.
var (
	ErrUnknownRegion = errors.New("no such region")
	ErrRefused       = errors.New("order refused")
	ErrBadOrder      = errors.New("bad order")
)

// maxOver is the longest time over which traffic is shifted away.
const maxOver = 24 * time.Hour

func regionsOf(gather func() []Region, s Settings) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		all := Regions{Regions: filledRegions(gather()), Settings: []Setting{}}
		if s != nil {
			all.Settings = wholeSettings(s.List(settings.Regions))
		}
		writeJSON(w, http.StatusOK, all)
	}
}

// filledRegions makes lists of what is null.
func filledRegions(all []Region) []Region {
	out := append([]Region{}, all...)
	for i := range out {
		r := &out[i]
		r.Links, r.Vantages = append([]Link{}, r.Links...), append([]Vantage{}, r.Vantages...)
		r.History, r.Services = append([]Change{}, r.History...), append([]RegionService{}, r.Services...)
	}
	return out
}

func nodesOf(gather func() Status) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		nodes := []ServiceNode{}
		for _, s := range filled(gather()).Services {
			for _, n := range s.Nodes {
				nodes = append(nodes, ServiceNode{s.Name, n})
			}
		}
		writeJSON(w, http.StatusOK, Nodes{nodes})
	}
}

// order takes {"state":"on|draining|off","over":"5m"} for the region in the path and answers the region.
func order(c Config) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o, problem := readOrder(r)
		if problem != "" {
			writeError(w, http.StatusBadRequest, "bad_order", problem)
			return
		}
		if err := c.Order(o); err != nil {
			refuseOrder(w, err)
			return
		}
		for _, region := range filledRegions(c.Regions()) {
			if region.Name == o.Region {
				writeJSON(w, http.StatusOK, region)
				return
			}
		}
		writeError(w, http.StatusNotFound, "unknown_region", "the region has left the configuration")
	}
}

func refuseOrder(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrUnknownRegion):
		writeError(w, http.StatusNotFound, "unknown_region", err.Error())
	case errors.Is(err, ErrRefused):
		writeError(w, http.StatusConflict, "refused", err.Error())
	case errors.Is(err, ErrBadOrder):
		writeError(w, http.StatusBadRequest, "bad_order", err.Error())
	default:
		refuseSetting(w, err) // an order is agreed on in the same way
	}
}

// readOrder returns the order of a request, or what is wrong with it.
func readOrder(r *http.Request) (Order, string) {
	var body struct{ State, Over string }
	if problem := readJSON(r, &body, `send {"state":"on|draining|off","over":"5m"} and nothing else`); problem != "" {
		return Order{}, problem
	}
	o := Order{Region: regionIn(r.URL.Path), State: body.State, By: who(r)}
	switch body.State {
	case "on", "draining", "off":
	default:
		return Order{}, "state must be on, draining or off"
	}
	if body.Over != "" {
		over, err := time.ParseDuration(body.Over)
		if err != nil || over < 0 || over > maxOver {
			return Order{}, "over must be a duration from 0s to 24h, such as 5m"
		}
		o.Over = over
	}
	if o.State == "on" && o.Over > 0 {
		return Order{}, "over is for draining and off: traffic comes back over the configured ramp"
	}
	return o, ""
}

const (
	orderPrefix = "/v1/regions/"
	orderSuffix = "/order"
	orderPath   = "/v1/regions/{name}/order"
)

// regionIn returns the region that an order's path names, "" for another path.
func regionIn(path string) string {
	name, ok := strings.CutPrefix(path, orderPrefix)
	if !ok {
		return ""
	}
	name, ok = strings.CutSuffix(name, orderSuffix)
	if !ok || strings.Contains(name, "/") {
		return ""
	}
	return name
}

// who names whoever sent a request, as far as it is known.
func who(r *http.Request) string {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return subject(r.TLS.VerifiedChains[0][0])
	}
	if r.Header.Get("Authorization") != "" {
		return "token from " + r.RemoteAddr
	}
	return "admin from " + r.RemoteAddr
}

// maxSubject bounds the name of who gave an order, in bytes: a longer one is refused by regional failover.
const maxSubject = 64

// subject is a certificate's name, without what would not print on one line; never "", which orders are refused for.
func subject(c *x509.Certificate) string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, nameOf(c))
	return name[:min(len(name), maxSubject)]
}

// nameOf is the common name, or what newer certificates have in place of one.
func nameOf(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.EmailAddresses) > 0:
		return c.EmailAddresses[0]
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	}
	return fmt.Sprintf("certificate %x", c.SerialNumber)
}
