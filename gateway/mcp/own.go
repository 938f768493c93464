package mcp

// Fields of Quorate's own, in canonical form. Requests carry them between gateways only: an agent's are
// left out. Answers carry them to agents too.
const (
	// OwnPrefix begins all of them.
	OwnPrefix = "Quorate-"
	// HeaderVia names the gateways that a request has passed, separated by commas, the first one first.
	HeaderVia = "Quorate-Via"
	// HeaderHops is how many times a request may still be passed on; 0: only the receiver's own nodes may serve it.
	HeaderHops = "Quorate-Hops"
	// HeaderRegion names the region whose node answered.
	HeaderRegion = "Quorate-Region"
	// HeaderNode names the node that answered.
	HeaderNode = "Quorate-Node"
	// HeaderSpilled is set when the region that answered is slower than the request asked for; its value
	// is the region's class.
	HeaderSpilled = "Quorate-Spilled"
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
		return "no_authority/" + e.Reason
	}
	return ""
}

// RefusedOverloaded begins the value of HeaderRefused when there was too much to do.
const RefusedOverloaded = "overloaded/"
