package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/quorate/quorate/regions/discovery"
)

// maxSaid bounds a voice's line, in bytes.
const maxSaid = 200

// voices returns a line for every resolver, in the order of the configuration.
func voices(v verdict) []discovery.Voice {
	all := make([]discovery.Voice, len(v.views))
	for i, w := range v.views {
		said := w.says()
		switch {
		case v.uncounts[i] != "":
			said += "; does not count: " + v.uncounts[i]
		case w.unsigned:
			said += "; addresses do not count: " + noAD
		case w.outcome == answered && !v.party[i]:
			said += "; " + w.objects(v.named)
		}
		for _, n := range w.notes {
			said += "; " + n
		}
		all[i] = discovery.Voice{Who: w.who.text, Said: plain(said, maxSaid), Agree: v.party[i], Took: w.took}
	}
	return all
}

// says is what the resolver answered.
func (w view) says() string {
	if w.outcome != answered {
		return w.rcode
	}
	addrs, ttl := 0, uint32(forever)
	for _, e := range w.endpoints {
		addrs, ttl = addrs+len(e.addrs), min(ttl, e.ttl)
	}
	var b strings.Builder
	fmt.Fprint(&b, counted(len(w.endpoints), "endpoint"), ", ", counted(addrs, "address"))
	if ttl != forever {
		fmt.Fprint(&b, ", ttl ", time.Duration(ttl)*time.Second)
	}
	if w.ad {
		fmt.Fprint(&b, ", AD")
	}
	return b.String()
}

// objects says what sets an answer apart from what enough others name.
func (w view) objects(named map[key][]netip.Addr) string {
	others, first := 0, ""
	for _, e := range w.endpoints {
		if _, ok := named[e.key]; ok {
			continue
		}
		if others++; first == "" {
			first = fmt.Sprintf("%s:%d", plain(e.target, 60), e.port)
		}
	}
	switch others {
	case 0:
		return "names addresses that too few others do"
	case 1:
		return "alone with " + first
	}
	return fmt.Sprintf("alone with %s and %d more", first, others-1)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
