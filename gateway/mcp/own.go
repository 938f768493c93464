package mcp

import "strings"

// Fields of Quorate's own, in canonical form. Requests carry them between gateways only: an agent's are
// left out. Answers carry them to agents too.
const (
	// OwnPrefix begins all of them.
	OwnPrefix = "Quorate-"
	// HeaderVia names the gateways that a request has passed, separated by commas, the first one first. Writes that
	// name an epoch say it to nodes too, for their logs.
	HeaderVia = "Quorate-Via"
	// HeaderHops is how many times a request may still be passed on; 0: only the receiver's own nodes may serve it.
	HeaderHops = "Quorate-Hops"
	// HeaderAdopt is the id under which the receiver is to go on with a session of the sender's, whose body says all
	// that is to be known of it.
	HeaderAdopt = "Quorate-Session-Adopt"
	// HeaderAdopting marks a session's request that was sent before the answer to its HeaderAdopt, and may
	// arrive before it.
	HeaderAdopting = "Quorate-Session-Adopting"
	// HeaderRelay names the gateway that sends an agent's request on to the owner of its session, which serves it as
	// if the agent had come there, or refuses it.
	HeaderRelay = "Quorate-Relay"
	// HeaderRegion names the region whose node answered.
	HeaderRegion = "Quorate-Region"
	// HeaderNode names the node that answered.
	HeaderNode = "Quorate-Node"
	// HeaderSpilled is set when the region that answered is slower than the request asked for; its value
	// is the region's class.
	HeaderSpilled = "Quorate-Spilled"
	// HeaderAuthority is set on the answer of a gateway that may not write now: what was read may be out of date,
	// and what was set of a session is this gateway's alone. Its value is Minority.
	HeaderAuthority = "Quorate-Authority"
	// HeaderFence is the epoch under which a gateway sends a write, in decimal: the log index of the last change of
	// who may write that it has applied. Whoever checks it remembers the largest and answers a lower one with 409
	// and the largest; such a write has not run. An agent's is left out, as all of these.
	HeaderFence = "Quorate-Fence"
	// HeaderLedger is set on the answer to a key that was used before: nothing has run again. Its value is Stored.
	HeaderLedger = "Quorate-Ledger"
	// HeaderRefused is set when this gateway refused and sending the request elsewhere does no harm: no node
	// has acted on it. Its value is "unavailable", "overloaded" or "no_authority", a slash and the reason.
	HeaderRefused = "Quorate-Refused"
)

// refusedWord returns the value of HeaderRefused for e, empty when e is no such refusal.
func (e *Error) refusedWord() string {
	switch e.Code {
	case CodeNothingFits:
		return "unavailable/" + e.Reason
	case CodeOverloaded:
		return RefusedOverloaded + e.Reason
	case CodeNoAuthority:
		return RefusedNoAuthority + e.Reason
	}
	return ""
}

// Minority is the value of HeaderAuthority.
const Minority = "minority"

// Stored is the value of HeaderLedger.
const Stored = "stored"

// RefusedNoAuthority begins the value of HeaderRefused when a gateway may not write; ReasonFenced follows it when
// that is because the sender's epoch is over.
const RefusedNoAuthority = "no_authority/"

// RefusedOverloaded begins the value of HeaderRefused when there was too much to do.
const RefusedOverloaded = "overloaded/"

// PerConnection reports a header field, by its canonical name, that belongs to the agent's connection, or was checked on
// it: it does not come along to another gateway.
func PerConnection(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Content-Length", "Expect", "Accept-Encoding", "Origin", "Host":
		return true
	}
	return strings.HasPrefix(name, "Sec-Fetch-")
}
