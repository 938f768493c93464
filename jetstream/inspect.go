package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quorate/quorate/strategies"
)

// maxSkew is how far the cluster's clock may be from this gateway's: lifetimes are counted by both.
const maxSkew = 5 * time.Second

// Inspect implements strategies.Store.
func (s *Store) Inspect(ctx context.Context) ([]strategies.Finding, error) {
	found := findings{}
	if !s.conn.IsConnected() && !s.await(ctx) {
		found.bad("reachable", fmt.Sprintf("none of %q answers: %v", s.set.URLs, s.conn.LastError()),
			"see that the NATS servers run, that their client ports can be reached from here, and creds_file")
		return found, nil
	}
	found.good("reachable", fmt.Sprintf("%s of %d servers, NATS %s", s.conn.ConnectedUrlRedacted(), max(len(s.conn.Servers()), 1), s.conn.ConnectedServerVersion()))
	b, err := s.js.Stream(ctx, s.set.stream()) // which makes none
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		found.good("bucket", s.set.stream()+" is not there yet; the first session that is kept makes it")
		s.syncOf(ctx, &found)
		return found, nil
	}
	if err != nil {
		found.bad("bucket", s.set.stream()+": "+err.Error(), "see that JetStream is on, that a majority of its servers run, and that the user may make streams; docs/strategies.md has the permissions")
		return found, nil
	}
	info, err := b.Info(ctx)
	if err != nil {
		found.bad("bucket", s.set.stream()+": "+err.Error(), "see that a majority of the JetStream servers run")
		return found, nil
	}
	s.settingsOf(&found, info.Config)
	s.replicasOf(&found, info)
	s.trial(ctx, &found)
	s.mirrorsOf(ctx, &found)
	s.syncOf(ctx, &found)
	return found, nil
}

// await gives a connection that was just begun a moment.
func (s *Store) await(ctx context.Context) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(2 * time.Second)
	defer end.Stop()
	for !s.conn.IsConnected() {
		select {
		case <-tick.C:
		case <-end.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// settingsOf compares the bucket with what it has to be. It is not changed: that is the operators' to do.
func (s *Store) settingsOf(found *findings, is jetstream.StreamConfig) {
	var wrong []string
	for _, c := range []struct {
		bad  bool
		text string
	}{
		{is.MaxMsgsPerSubject != 1, fmt.Sprintf("history is %d instead of 1", is.MaxMsgsPerSubject)},
		{!is.AllowMsgTTL, "lifetimes of keys (allow_msg_ttl) are off"},
		{is.AllowDirect, "direct reads (allow_direct) are on"},
		{is.Storage != jetstream.FileStorage, "it is in memory"},
		{is.MaxAge != 0, "max_age is " + is.MaxAge.String()},
		{is.Discard != jetstream.DiscardNew, "it discards old entries when it is full"},
		{is.Mirror != nil || len(is.Sources) > 0, "it is a copy of another stream"},
		{is.MaxMsgSize > 0 && is.MaxMsgSize < strategies.MaxContents, fmt.Sprintf("messages over %d bytes are refused", is.MaxMsgSize)},
	} {
		if c.bad {
			wrong = append(wrong, c.text)
		}
	}
	if len(wrong) > 0 {
		found.bad("bucket settings", fmt.Sprintf("%s: %q", is.Name, wrong), "change them with nats stream edit, or name another bucket and let the gateway make it")
	} else {
		found.good("bucket settings", is.Name+": one entry a key, lifetimes, leader reads, in files")
	}
	if m := s.conn.MaxPayload(); m < 1<<20+64<<10 {
		found.bad("max_payload", fmt.Sprintf("servers take messages of %d bytes: sessions near max_record are refused as too large", m), "set max_payload: 4MB in the NATS servers, or a lower replication.max_record")
	}
}

// replicasOf looks at who has the bucket, and how far behind.
func (s *Store) replicasOf(found *findings, info *jetstream.StreamInfo) {
	c := info.Cluster
	if info.Config.Replicas != s.set.Replicas {
		found.bad("replicas", fmt.Sprintf("the bucket has %d, and replicas: says %d", info.Config.Replicas, s.set.Replicas), "change the one or the other; nats stream edit --replicas")
		return
	}
	if s.set.Replicas < 3 {
		found.bad("replicas", fmt.Sprintf("%d: the loss of one server loses sessions", s.set.Replicas), "write replicas: 3")
		return
	}
	if c == nil || c.Leader == "" {
		found.bad("replicas", "the bucket has no leader", "see that a majority of its servers run")
		return
	}
	for _, r := range c.Replicas {
		if r.Offline || !r.Current {
			found.bad("replicas", fmt.Sprintf("%s is not up to date (offline %t, %d behind)", r.Name, r.Offline, r.Lag), "see that it runs and can be reached by the others")
			return
		}
	}
	found.good("replicas", fmt.Sprintf("%d, all up to date, led by %s", len(c.Replicas)+1, c.Leader))
}

// trial does what a gateway does, on a key that ends at once, and reads the cluster's clock off it.
func (s *Store) trial(ctx context.Context, found *findings) {
	const advice = "give the user publish on $KV.BUCKET.>, $JS.API.STREAM.{INFO,CREATE,MSG.GET}.* and $JS.API.CONSUMER.*, and subscribe on _INBOX.>"
	now := time.Now()
	r := strategies.Record{Key: "check/doctor", Service: "doctor", Owner: "doctor", Ballot: uint64(now.UnixNano()), Version: 1, Until: now.Unix() + 2}
	if _, err := s.put(ctx, r); err != nil {
		found.bad("permissions", "a key cannot be written: "+err.Error(), advice)
		return
	}
	if err := s.List(ctx, func(strategies.Head) error { return errSeen }); err != nil && !errors.Is(err, errSeen) {
		found.bad("permissions", "keys cannot be listed: "+err.Error(), advice)
		return
	}
	took := time.Since(now)
	found.good("permissions", fmt.Sprintf("a key was written and keys listed in %d ms", took.Milliseconds()))
	b, err := s.open(ctx)
	if err != nil {
		return
	}
	m, err := b.GetLastMsgForSubject(ctx, s.set.subject(r.Key))
	if err != nil {
		found.bad("clock", "the cluster's clock could not be read: "+err.Error(), "ask again")
		return
	}
	if skew := m.Time.Sub(now); skew.Abs() > maxSkew+took {
		found.bad("clock", fmt.Sprintf("the cluster's clock is %s from this gateway's", skew.Round(time.Millisecond)), "let NTP set the clocks of both: sessions end by them")
	} else {
		found.good("clock", fmt.Sprintf("the cluster's is within %s of this gateway's", (skew.Abs()+took).Round(time.Millisecond)))
	}
}

func (s *Store) mirrorsOf(ctx context.Context, found *findings) {
	for _, region := range s.set.Mirrors {
		m, err := s.js.Stream(ctx, s.set.mirror(region))
		var info *jetstream.StreamInfo
		if err == nil {
			info, err = m.Info(ctx)
		}
		switch {
		case err != nil:
			found.bad("mirror "+region, err.Error(), "give a server of that region server_tags: [\"region:"+region+"\"]; the gateways make it within seconds")
		case info.Mirror == nil || info.Mirror.Error != nil:
			found.bad("mirror "+region, "it does not follow the bucket", "see nats stream info "+s.set.mirror(region))
		case region == s.told.Region && s.near.conn != nil && !s.near.conn.IsConnected():
			found.bad("mirror "+region, fmt.Sprintf("none of %q answers: takeovers here ask the bucket's leader first", s.set.Near[region]), "see that the NATS servers of near run")
		default:
			found.good("mirror "+region, fmt.Sprintf("%d entries behind", info.Mirror.Lag))
		}
	}
}

var errSeen = errors.New("jetstream: one is enough")

type findings []strategies.Finding

func (f *findings) good(subject, text string) {
	*f = append(*f, strategies.Finding{Good: true, Subject: subject, Text: strategies.Printable(text)})
}

func (f *findings) bad(subject, text, advice string) {
	*f = append(*f, strategies.Finding{Subject: subject, Text: strategies.Printable(text), Advice: advice})
	*f = slices.Clip(*f)
}
