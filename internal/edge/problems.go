package edge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/telemetry"
)

// NoteFile keeps what is wrong with the file as it is now, nil for nothing: the old one goes on, so that nobody sees a
// difference until the gateway is started anew: then it is not, or is another.
func (e *Edge) NoteFile(err error) {
	if err == nil {
		e.refused.Store(nil)
		return
	}
	text := "the configuration file as it is now is refused, and the one before goes on: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	e.refused.Store(&text)
}

// happened takes in an authority event. A voter that its disk has silenced looks like any other from outside, while the
// fleet has one voter less than it seems to. Who has joined may hold copies at once: until the store has looked, the
// first sessions of a fleet had none.
func (e *Edge) happened(kind, gateway, text string) {
	switch kind {
	case events.VoterFailed:
		e.silent.Store(&text)
	case events.Joined:
		e.replaced()
	case events.Suspected:
		e.suspected(gateway)
	}
	e.events.Add(kind, gateway, text)
}

// voiceless returns that this voter is silent, if it is. Everybody may read it, so it names no file.
func (e *Edge) voiceless() []string {
	if e.silent.Load() == nil {
		return nil
	}
	return []string{"this voter acknowledges nobody, since its promises cannot be written"}
}

// problems are what is wrong and does not show elsewhere, or not yet.
func (e *Edge) problems(now time.Time) []string {
	var all []string
	if text := e.refused.Load(); text != nil {
		all = append(all, *text)
	}
	if text := e.silent.Load(); text != nil {
		all = append(all, e.voiceless()[0]+": "+*text+"; make room or mend the disk, then start it again")
	}
	if e.token != nil && e.token.Problem() != nil {
		all = append(all, fmt.Sprintf("the admin token's file as it is now is not used, and the token of before still is: %v", e.token.Problem()))
	}
	all = append(all, linkProblems(e.links.list())...)
	return append(all, certificateProblems(e.links.credentials, now)...)
}

// linkProblems says why links are down: a machine that is off, an authority of another fleet and a second gateway of this
// one's name all look like a cut from here.
func linkProblems(all []peer.Link) (problems []string) {
	for _, l := range all {
		switch {
		case l.Up || l.In || l.Error == "":
		case strings.Contains(l.Error, peer.ErrTwin.Error()):
			problems = append(problems, fmt.Sprintf("the gateway at %s has this one's name: stop one of the two, and give it a name, a certificate and an empty data_dir of its own", l.Address))
		default:
			problems = append(problems, fmt.Sprintf("no link to the gateway at %s: %s", l.Address, l.Error))
		}
	}
	return problems
}

// certificateProblems: all links end with the certificate, and most often everybody's ends in the same hour.
func certificateProblems(c *peer.Credentials, now time.Time) []string {
	if c == nil {
		return nil
	}
	var all []string
	if err := c.Problem(); err != nil {
		all = append(all, fmt.Sprintf("the peer certificate's files as they are now are not used, and the ones before are: %v", err))
	}
	from, until := c.Validity()
	id, at := c.Identity(), until.UTC().Format(time.RFC3339)
	switch {
	case !now.Before(until):
		all = append(all, fmt.Sprintf("the peer certificate ended at %s, and other gateways refuse this one: renew it with quorate ca issue %s %s", at, id.Region, id.Gateway))
	case ca.Ending(from, until, now):
		all = append(all, fmt.Sprintf("the peer certificate ends at %s, and all links with it: renew it with quorate ca issue %s %s", at, id.Region, id.Gateway))
	}
	return all
}

// warnOfCertificate logs what is new since the last look, and returns what to compare with at the next one.
func (e *Edge) warnOfCertificate(before []string, now time.Time) []string {
	all := certificateProblems(e.links.credentials, now)
	for _, p := range all {
		if !slices.Contains(before, p) {
			e.log.Warn("peer certificate", "cause", p)
		}
	}
	return all
}

// observeProblems makes what an alert should know of readable at a scrape.
func (e *Edge) observeProblems() error {
	return errors.Join(
		e.opts.Telemetry.Observe(telemetry.ConfigRefused, func(emit telemetry.Emit) {
			emit(map[bool]float64{true: 1}[e.refused.Load() != nil])
		}),
		e.opts.Telemetry.Observe(telemetry.CertificateEnd, func(emit telemetry.Emit) {
			if c := e.links.credentials; c != nil {
				emit(float64(c.Expires().Unix()))
			}
		}),
	)
}
