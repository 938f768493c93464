package sessions_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/internal/mcpagent"
	"github.com/quorate/quorate/internal/mcpnode"
)

// agent is go-sdk's client with a session, a subscription and a log level.
type agent struct {
	name    string
	session *sdk.ClientSession
	id      string
	wire    *wire
	updates atomic.Int64
	logged  atomic.Pointer[string] // the latest log message
}

// wire counts what a client sends, and which answers are cut.
type wire struct {
	line        http.RoundTripper
	initialized atomic.Int64
	stale       atomic.Int64 // standing connections lost before the first byte of an answer
	refused     atomic.Int64 // new ones that brought no answer
	cut         atomic.Int64 // connections lost in an answer's body
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	post := r.Method == http.MethodPost
	if post && r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(b, []byte(`"method":"initialize"`)) {
			w.initialized.Add(1)
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	standing := false
	resp, err := w.line.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { standing = c.Reused },
	})))
	switch {
	case err != nil && post && r.Context().Err() == nil && standing:
		w.stale.Add(1)
	case err != nil && post && r.Context().Err() == nil:
		w.refused.Add(1)
	case err == nil && post:
		resp.Body = &watched{ReadCloser: resp.Body, cut: &w.cut}
	}
	return resp, err
}

// watched notes that a body ended before its end.
type watched struct {
	io.ReadCloser
	cut  *atomic.Int64
	once sync.Once
}

// Read implements io.Reader.
func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.once.Do(func() { b.cut.Add(1) })
	}
	return n, err
}

// sender is a loopback address of an agent's own.
func sender(i int) net.IP { return net.IPv4(127, 1, byte(i/250), byte(1+i%250)) }

// connect connects an agent, which subscribes and sets its log level.
func (w *world) connect(ctx context.Context, url string, i int) (*agent, error) {
	a := &agent{name: fmt.Sprintf("go-sdk %d", i), wire: &wire{line: w.edge.transport(sender(i))}}
	c := sdk.NewClient(&sdk.Implementation{Name: a.name, Version: "1"}, &sdk.ClientOptions{
		ResourceUpdatedHandler: func(context.Context, *sdk.ResourceUpdatedNotificationRequest) { a.updates.Add(1) },
		LoggingMessageHandler: func(_ context.Context, r *sdk.LoggingMessageRequest) {
			text := fmt.Sprint(r.Params.Data)
			a.logged.Store(&text)
		},
	})
	var err error
	a.session, err = c.Connect(ctx, &sdk.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: a.wire}},
		&sdk.ClientSessionOptions{ProtocolVersion: mcpagent.VersionLegacy})
	if err != nil {
		return nil, fmt.Errorf("%s: connect: %w", a.name, err)
	}
	a.id = a.session.ID()
	if err := a.session.Subscribe(ctx, &sdk.SubscribeParams{URI: mcpnode.UpdatesURI}); err != nil {
		return nil, fmt.Errorf("%s: subscribe: %w", a.name, err)
	}
	if err := a.session.SetLoggingLevel(ctx, &sdk.SetLoggingLevelParams{Level: "info"}); err != nil {
		return nil, fmt.Errorf("%s: level: %w", a.name, err)
	}
	return a, nil
}

// connectAll connects n agents, a few at a time.
func (w *world) connectAll(url string, n int) []*agent {
	w.t.Helper()
	all := make([]*agent, n)
	errs := w.each(n, func(i int) (err error) {
		for range 3 { // on a busy machine a health check of the balancer's may fail, which closes connections
			if all[i], err = w.connect(w.t.Context(), url, i); err == nil {
				return nil
			}
		}
		return err
	})
	for _, err := range errs {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		for _, a := range all {
			a.wire.line.(*http.Transport).CloseIdleConnections()
		}
	})
	return all
}

// each does something n times, 16 at once, and returns what went wrong.
func (w *world) each(n int, do func(i int) error) []error { return w.eachOf(n, 16, do) }

func (w *world) eachOf(n, atOnce int, do func(i int) error) (errs []error) {
	places := make(chan struct{}, atOnce)
	results := make([]error, n)
	var work sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		work.Go(func() {
			results[i] = do(i)
			<-places
		})
	}
	work.Wait()
	return slices.DeleteFunc(results, func(err error) bool { return err == nil })
}

// call calls a tool within a bound and returns its text.
func (a *agent) call(ctx context.Context, bound time.Duration, tool string, args map[string]any) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if args == nil {
		args = map[string]any{}
	}
	res, err := a.session.CallTool(ctx, &sdk.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return "", err
	}
	text := ""
	for _, c := range res.Content {
		if t, ok := c.(*sdk.TextContent); ok {
			text += t.Text
		}
	}
	if res.IsError {
		return "", fmt.Errorf("the tool failed: %s", text)
	}
	return text, nil
}

// inPlace checks that what the session has set is in place at the node that it has now, and that the standing
// stream delivers; logs and updates need both.
func (a *agent) inPlace(ctx context.Context, w *world) error {
	got, err := a.call(ctx, 10*time.Second, mcpnode.ToolSettings, nil)
	if want := "level=info subscribed=" + mcpnode.UpdatesURI; err != nil || got != want {
		return fmt.Errorf("%s: its node holds %q, want %q: %w", a.name, got, want, err)
	}
	before, word := a.updates.Load(), fmt.Sprintf("after %d", monotonic())
	tick, end := time.NewTicker(500*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for {
		// The tool fails while the node has no stream to the session's new gateway yet, as without a gateway while its
		// agent comes back.
		_, err := a.call(ctx, 10*time.Second, mcpnode.ToolRemark, map[string]any{"text": word})
		// The gateway itself announces one update after a move; more come from the node.
		if l := a.logged.Load(); l != nil && *l == word && a.updates.Load() >= before+2 {
			return nil
		}
		select {
		case <-tick.C:
		case <-end:
			return fmt.Errorf("%s: within 20 s its stream delivered %d updates and not its log message (its node says: %s); gateways say:\n%s", a.name, a.updates.Load()-before, fmt.Sprint(err), w.story(a.id))
		}
	}
}

// story is what the gateways log of a session; it is named by a hash there.
func (w *world) story(id string) string {
	sum := sha256.Sum256([]byte(id))
	hash := hex.EncodeToString(sum[:6])
	var b strings.Builder
	for _, m := range w.members {
		for line := range strings.Lines(m.log.String()) {
			if strings.Contains(line, hash) {
				fmt.Fprintf(&b, "%s: %s", m.name, line)
			}
		}
	}
	return b.String()
}
