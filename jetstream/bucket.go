package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quorate/quorate/strategies"
)

// errOvertaken: another writer was faster; errTooLarge: the cluster takes no message of this size.
var (
	errOvertaken = errors.New("jetstream: key has another revision by now")
	errTooLarge  = errors.New("jetstream: message is too large")
)

// connect prepares a connection that is made in the background and again whenever it is lost. Nothing waits in it while
// there is none: what was not sent has failed. lost is told of every loss.
func (s *Store) connect(servers []string, lost func()) (*nats.Conn, error) {
	set, told, log := s.set, s.told, s.log()
	options := []nats.Option{
		nats.Name("quorate " + told.Gateway), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(200 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.Timeout(2 * time.Second), nats.PingInterval(pings), nats.MaxPingsOutstanding(pingsLost),
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(c *nats.Conn, err error) {
			lost()
			log.Warn("connection to NATS is lost", "cause", err)
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { log.Info("connected to NATS again", "server", c.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS", "cause", err) }),
	}
	if set.CredsFile != "" {
		options = append(options, nats.UserCredentials(set.CredsFile))
	}
	if set.CAFile != "" {
		options = append(options, nats.RootCAs(set.CAFile))
	}
	if s.from != nil {
		options = append(options, nats.SetCustomDialer(s.from))
	}
	o := nats.GetDefaultOptions()
	o.Servers, o.NoRandomize = s.nearest(servers), true
	for _, option := range options {
		if err := option(&o); err != nil {
			return nil, err
		}
	}
	return o.Connect()
}

// config is the bucket as it has to be: one entry a key, each with a lifetime of its own, in files. Direct reads are
// off, so that a read is answered by the leader. The names are those of NATS's own key-value buckets.
func (s *Store) config() jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: s.set.stream(), Description: "sessions of a Quorate fleet", Subjects: []string{s.set.subject(">")},
		MaxMsgsPerSubject: 1, MaxBytes: -1, MaxMsgs: -1, MaxConsumers: -1, MaxMsgSize: -1, Storage: jetstream.FileStorage,
		Replicas: s.set.Replicas, Discard: jetstream.DiscardNew, AllowMsgTTL: true, DenyDelete: true,
		Duplicates: time.Second, Compression: jetstream.NoCompression,
	}
	if s.set.Home != "" {
		c.Placement = placed(s.set.Home)
	}
	return c
}

// placed is on servers with a region's tag.
func placed(region string) *jetstream.Placement {
	return &jetstream.Placement{Tags: []string{"region:" + region}}
}

// open returns the bucket, and makes it where there is none.
func (s *Store) open(ctx context.Context) (jetstream.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket != nil {
		return s.bucket, nil
	}
	b, err := s.js.Stream(ctx, s.set.stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		b, err = s.js.CreateStream(ctx, s.config())
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // by another gateway, a moment ago
			b, err = s.js.Stream(ctx, s.set.stream())
		}
	}
	if err != nil {
		return nil, inner(err)
	}
	go s.makeMirrors()
	s.bucket = b
	return b, nil
}

// entry returns what there is of a key: what is guessed, else what the leader says, who alone can say that there is nothing.
func (s *Store) entry(ctx context.Context, key string, guess *entry) (entry, error) {
	if guess != nil {
		return *guess, nil
	}
	b, err := s.open(ctx)
	if err != nil {
		return entry{}, err
	}
	m, err := b.GetLastMsgForSubject(ctx, s.set.subject(key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return entry{Key: key}, nil
	}
	if err != nil {
		return entry{}, inner(err)
	}
	return read(key, m.Header, m.Data, m.Sequence, time.Now())
}

// publish writes the entry in the place of its revision, and returns when a quorum has it.
func (s *Store) publish(ctx context.Context, e *entry) error {
	if _, err := s.open(ctx); err != nil {
		return err
	}
	m, err := e.message(s.set.subject(e.Key))
	if err != nil {
		return err
	}
	ack, err := s.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(e.revision),
		jetstream.WithExpectStream(s.set.stream()), jetstream.WithMsgTTL(e.ttl(time.Now())))
	if err != nil {
		return inner(err)
	}
	e.revision = ack.Sequence
	return nil
}

// Codes of JetStream's errors that are told apart; the client library has names for some.
const (
	codeNoResources     = 10023
	codeAccountFull     = 10002
	codeTooLarge        = 10054
	codeMemoryFull      = 10028
	codeStorageFull     = 10047
	codeWrongLast       = jetstream.JSErrCodeStreamWrongLastSequence
	codeWrongLastPlain  = 10164
	codeStoreFailed     = 10077
	codePublishInflight = 10199
)

// inner sorts an error of NATS.
func inner(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return errTooLarge
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fmt.Errorf("%w: %w", strategies.ErrUnavailable, err) // no connection, no leader, no answer
	}
	switch api.ErrorCode {
	case codeWrongLast, codeWrongLastPlain:
		return errOvertaken
	case codeTooLarge:
		return errTooLarge
	case codeNoResources, codeAccountFull, codeMemoryFull, codeStorageFull, codeStoreFailed:
		return fmt.Errorf("%w: %w", strategies.ErrFull, err)
	}
	if api.Code == http.StatusServiceUnavailable || api.ErrorCode == codePublishInflight {
		return fmt.Errorf("%w: %w", strategies.ErrUnavailable, err)
	}
	return err
}

// outer names an error of a whole call.
func outer(what string, err error) error {
	return fmt.Errorf("jetstream: %s: %w", what, err)
}
