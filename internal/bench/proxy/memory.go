package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// settle is how long a gateway is left alone before its memory is read.
const settle = 2 * time.Second

// extras measures memory and takes the profile, each on a gateway of its own.
func (r *run) extras(ctx context.Context) error {
	if r.cfg.Sessions > 0 {
		if err := r.sessions(ctx); err != nil {
			return err
		}
	}
	if r.cfg.Streams > 0 {
		if err := r.streams(ctx); err != nil {
			return err
		}
	}
	if r.cfg.Profile != "" {
		return r.profile(ctx)
	}
	return nil
}

// sessions measures a legacy session without a request or a stream.
func (r *run) sessions(ctx context.Context) error {
	return r.memory(ctx, "idle legacy session", r.cfg.Sessions, func(ctx context.Context, address string) (func(), error) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: openers}}
		defer client.CloseIdleConnections()
		var g errgroup.Group
		g.SetLimit(openers)
		for range r.cfg.Sessions {
			g.Go(func() error { _, err := session(ctx, client, address); return err })
		}
		return func() {}, g.Wait()
	})
}

// streams measures an open subscriptions/listen: the agent's stream and what is held upstream for it.
func (r *run) streams(ctx context.Context) error {
	return r.memory(ctx, "open SSE stream", r.cfg.Streams, func(ctx context.Context, address string) (func(), error) {
		conns := make([]net.Conn, r.cfg.Streams)
		closeAll := func() {
			for _, c := range conns {
				if c != nil {
					_ = c.Close()
				}
			}
		}
		var g errgroup.Group
		g.SetLimit(openers)
		for i := range conns {
			g.Go(func() (err error) { conns[i], err = listen(ctx, address, i); return err })
		}
		return closeAll, g.Wait()
	})
}

// openers is how many sessions or streams are opened at once.
const openers = 16

// memory prints how much a fresh gateway's resident memory grew per thing that open made. A few are
// made before the first reading, so that what is paid once is not counted.
func (r *run) memory(ctx context.Context, what string, n int, open func(context.Context, string) (func(), error)) error {
	s, err := r.startQuorate(ctx, strings.ReplaceAll(what, " ", "-"))
	if err != nil {
		return err
	}
	if _, err := r.load(ctx, s, JSON, r.cfg.Warm); err != nil {
		return err
	}
	before, err := r.resident(ctx, s)
	if err != nil {
		return err
	}
	done, err := open(ctx, s.address)
	defer done()
	if err != nil {
		return fmt.Errorf("proxy: %s: %w", what, err)
	}
	after, err := r.resident(ctx, s)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.cfg.Out, "memory: %.1f KiB per %s (%d of them, resident memory %.1f → %.1f MiB)\n",
		float64(after-before)/1024/float64(n), what, n, float64(before)/(1<<20), float64(after)/(1<<20))
	done()
	return s.gateway.Stop()
}

func (r *run) resident(ctx context.Context, s *system) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(settle):
		return resident(s.pid)
	}
}

var errRefused = errors.New("refused")

// session makes a legacy session and returns its id.
func session(ctx context.Context, client *http.Client, address string) (string, error) {
	h, err := post(ctx, client, address, "", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",`+
		`"capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`)
	if err != nil {
		return "", err
	}
	id := h.Get("Mcp-Session-Id")
	if id == "" {
		return "", fmt.Errorf("initialize: %w: no session id", errRefused)
	}
	_, err = post(ctx, client, address, id, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return id, err
}

func post(ctx context.Context, client *http.Client, address, session, body string) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+Path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		req.Header.Set("Mcp-Session-Id", session)
		req.Header.Set("MCP-Protocol-Version", "2025-11-25")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%w: %s: %s", errRefused, resp.Status, said)
	}
	return resp.Header, nil
}

// listen opens one subscriptions/listen and waits for its first event.
func listen(ctx context.Context, address string, i int) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"subscriptions/listen","params":{`+meta+`,"notifications":{"toolsListChanged":true}}}`, i+1)
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"+
		"MCP-Protocol-Version: "+version+"\r\nMcp-Method: subscriptions/listen\r\nContent-Length: %d\r\n\r\n%s", Path, address, len(body), body)
	if err == nil {
		err = c.SetReadDeadline(time.Now().Add(stalled))
	}
	in := bufio.NewReader(c)
	for err == nil {
		var line string
		if line, err = in.ReadString('\n'); strings.Contains(line, "subscriptions/acknowledged") {
			return c, nil
		}
	}
	_ = c.Close()
	return nil, fmt.Errorf("subscriptions/listen: %w", err)
}
