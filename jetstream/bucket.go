package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
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
// there is none: what was not sent has failed.
func connect(set settings, told strategies.Settings, log *slog.Logger) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("quorate " + told.Gateway), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(200 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.Timeout(2 * time.Second), nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2),
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(c *nats.Conn, err error) { log.Warn("connection to NATS is lost", "cause", err) }),
		nats.ReconnectHandler(func(c *nats.Conn) { log.Info("connected to NATS again", "server", c.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS", "cause", err) }),
	}
	if set.CredsFile != "" {
		options = append(options, nats.UserCredentials(set.CredsFile))
	}
	if set.CAFile != "" {
		options = append(options, nats.RootCAs(set.CAFile))
	}
	o := nats.GetDefaultOptions()
	o.Servers = set.URLs
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
	return jetstream.StreamConfig{
		Name: s.set.stream(), Description: "sessions of a Quorate fleet", Subjects: []string{s.set.subject(">")},
		MaxMsgsPerSubject: 1, MaxBytes: -1, MaxMsgs: -1, MaxConsumers: -1, MaxMsgSize: -1, Storage: jetstream.FileStorage,
		Replicas: s.set.Replicas, Discard: jetstream.DiscardNew, AllowMsgTTL: true, DenyDelete: true,
		Duplicates: time.Second, Compression: jetstream.NoCompression,
	}
}

// mirrorConfig is a copy in another region, on servers with its tag.
func (s *Store) mirrorConfig(region string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: s.set.mirror(region), Description: "hints for " + region, Mirror: &jetstream.StreamSource{Name: s.set.stream()},
		MaxMsgsPerSubject: 1, Storage: jetstream.FileStorage, Replicas: 1, AllowDirect: true, AllowMsgTTL: true,
		Placement: &jetstream.Placement{Tags: []string{"region:" + region}},
	}
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
	for _, region := range s.set.Mirrors { // what they are for can wait: a mirror that is missing is a finding
		if _, err := s.js.Stream(ctx, s.set.mirror(region)); errors.Is(err, jetstream.ErrStreamNotFound) {
			_, _ = s.js.CreateStream(ctx, s.mirrorConfig(region))
		}
	}
	s.bucket = b
	return b, nil
}

// entry returns what there is of a key: what is guessed, else what the leader says.
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

// hint asks the mirror of this gateway's region, and has nothing to say where there is none.
func (s *Store) hint(ctx context.Context, key string) strategies.Answer {
	if !slices.Contains(s.set.Mirrors, s.told.Region) {
		return strategies.Answer{}
	}
	m, err := s.js.Stream(ctx, s.set.mirror(s.told.Region))
	if err != nil {
		return strategies.Answer{}
	}
	found, err := m.GetLastMsgForSubject(ctx, s.set.subject(key))
	if err != nil {
		return strategies.Answer{}
	}
	e, err := read(key, found.Header, found.Data, found.Sequence, time.Now())
	if err != nil {
		return strategies.Answer{}
	}
	return e.answer(time.Now())
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
