package verify

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
)

// AliveClient returns a client for Alive: no kept connections, no proxy, no redirects, HTTP/1.1.
// hold is what an https node is held to on each connection, as of package regions/identity; nil for http nodes.
func AliveClient(hold *tls.Config) *http.Client {
	dialer := proving{Dialer: net.Dialer{KeepAlive: -1}, hold: hold}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			DialTLSContext:         dialer.dialTLS,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Alive asks the node at url for any answer at all, on a connection of its own, within ctx. It
// returns nil as soon as a well-formed HTTP response header arrived, whatever its status; it is the
// probe for a node that is slow to answer a request (the suspect probe).
//
// Why any response counts: the question is "is the process gone, stopped or cut off?", because a yes
// cuts the calls that wait for it. A node filled with slow calls cannot answer a capability check
// either, and must not lose those calls. Whether a living node is any good is what checks are for.
//
// Why OPTIONS: it is safe (RFC 9110 §9.2.1), carries no body, opens no event stream and makes no
// session. go-sdk answers 405 in both modes and the TypeScript everything-server's CORS layer 204,
// before any MCP code runs. A GET can open a stream; a POST without a session can make one.
//
// An error that is identity.ErrIdentity says that what answers there is not the node; it was sent nothing.
//
// client must not reuse connections (AliveClient does not): a request that waits is a reason to
// distrust the connections there are.
func Alive(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, url, nil)
	if err != nil {
		return fmt.Errorf("verify: alive: %w", bare(err))
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("verify: alive: %w", bare(err))
	}
	_ = resp.Body.Close() // the header was the answer
	return nil
}
