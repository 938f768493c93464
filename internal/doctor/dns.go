package doctor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/dns"
)

// agreementRow comes after those of the resolvers.
const agreementRow = 1 << 16

// dns asks every resolver, and returns the nodes that they agree on.
func (e *examination) dns(ctx context.Context, from origin, s *dns.Source) []regions.Proposal {
	at := place{subject: aboutDNS, first: from.service, second: from.source, third: agreementRow}
	row := e.begin(at, "dns agreement", strings.TrimPrefix(from.name, "dns:"))
	x := s.Examine(ctx)
	for i, r := range x.Resolvers {
		at.third = i
		judgeResolver(e.begin(at, "dns resolver", fmt.Sprintf("%s for %s %s", r.Who, x.Name, x.Type)), from.key, r, x)
	}
	judgeAgreement(row, from.key, x)
	return x.Answer.Nodes
}

// wordy is what the network says of a reply that did not come.
var wordy = regexp.MustCompile(`(no reply in time|nothing listens): [^;]*`)

// judgeResolver says what one resolver answered; key is the source's in the file.
func judgeResolver(row *entry, key string, r dns.ResolverExamination, x dns.Examination) {
	got := wordy.ReplaceAllString(r.Said, "$1") + ", " + short(r.Took)
	switch {
	case r.Uncounted != "":
		row.set(Warn, got, "let it validate, and reach it over loopback or tls://; "+key+".dnssec: off would believe it")
	case r.Agree:
		row.set(OK, got, "-")
	case r.Answered && x.Answer.Err != nil:
		row.set(OK, got, "-") // nobody can say which of them is wrong
	case r.Answered:
		row.set(Warn, got, "find out why it answers otherwise (stale, another view, poisoned); traffic does not follow it")
	case r.Denied && x.Answer.Err == nil:
		row.set(Warn, got, "find out why it does not know what others do; traffic does not follow it")
	case r.Denied:
		row.set(Warn, got, "create the records, or correct "+key+".name")
	default:
		row.set(Warn, got, "see whether it runs and serves this host, or name another in "+key+".resolvers")
	}
}

func judgeAgreement(row *entry, key string, x dns.Examination) {
	agree, dissent, silent := votes(x)
	total := len(x.Resolvers)
	got := fmt.Sprintf("%d of %d agree on %s", agree, total, counted(len(x.Answer.Nodes), "node"))
	if x.Answer.Err != nil {
		got, do := disagreement(key, x)
		row.set(Fail, got, do)
		return
	}
	for _, all := range [][]string{dissent, silent} {
		if len(all) > 0 {
			got += "; " + list(all, 2)
		}
	}
	if agree < total {
		row.set(Warn, got, "see the rows above; "+spare(agree, x.Agree))
		return
	}
	row.set(OK, got, "-")
}

// spare says how far the agreement is from its end.
func spare(agree, need int) string {
	if agree <= need {
		return fmt.Sprintf("%d must agree, so that no other may fail", need)
	}
	return fmt.Sprintf("%d must agree, so that %d more may fail", need, agree-need)
}

// votes counts who agrees and says of the others what keeps them apart.
func votes(x dns.Examination) (agree int, dissent, silent []string) {
	common := map[string]bool{}
	for _, r := range x.Resolvers {
		if r.Agree {
			agree++
			for _, n := range r.Names {
				common[n] = true
			}
		}
	}
	for _, r := range x.Resolvers {
		switch {
		case r.Agree:
		case r.Answered && r.Uncounted == "":
			odd := slices.DeleteFunc(slices.Clone(r.Names), func(n string) bool { return common[n] })
			if len(odd) == 0 {
				odd = []string{"other addresses"}
			}
			dissent = append(dissent, r.Who+" says "+list(odd, 2))
		case r.Denied:
			dissent = append(dissent, r.Who+" says there are none")
		default:
			silent = append(silent, r.Who+" does not count")
		}
	}
	return agree, dissent, silent
}

// disagreement says why nothing is believed, and what to do.
func disagreement(key string, x dns.Examination) (got, do string) {
	answered := 0
	for _, r := range x.Resolvers {
		if (r.Answered || r.Denied) && r.Uncounted == "" {
			answered++
		}
	}
	of := fmt.Sprintf("%d of %d answer, %d must agree", answered, len(x.Resolvers), x.Agree)
	switch err := x.Answer.Err; {
	case errors.Is(err, dns.ErrNXDomain):
		return "the name does not exist", "create the records, or correct " + key + ".name"
	case errors.Is(err, dns.ErrEmpty):
		return "the name has no such records", "create the records, or correct name and type in " + key
	case errors.Is(err, dns.ErrNoAgreement):
		return fmt.Sprintf("no %d of %d agree", x.Agree, len(x.Resolvers)), "find out which of the rows above are right; until then no node is taken from them"
	case errors.Is(err, dns.ErrBogus):
		return "answers fail DNSSEC validation: " + of, "repair the zone's signatures or the resolvers; " + key + ".dnssec: off would believe them"
	}
	return "not enough resolvers answer: " + of, "repair those of the rows above, or name others in " + key + ".resolvers"
}
