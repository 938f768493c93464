package natsproc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/quorate/quorate/internal/child"
)

// pool is how many routes two servers have for the accounts of clients; one more is that of the system account, by which
// JetStream's API is asked.
const pool = 3

const systemAccount = "$SYS"

// between is from one look at all servers to the next that has to agree with it: longer than routes that both ends
// are about to close as duplicates live, some round trips.
const between = 300 * time.Millisecond

// Await waits until every server says, twice, that JetStream is healthy there and that all its routes stand. Servers that
// start together dial each other at once, close what they have twice, and may take seconds until both keep the same ones:
// meanwhile JetStream is healthy, but a question to a server without a route to the bucket's leader has no answer.
func (c *Cluster) Await(ctx context.Context) error {
	tick := time.NewTicker(between)
	defer tick.Stop()
	for agreed := 0; ; {
		last := c.ready(ctx)
		switch agreed++; {
		case errors.Is(last, child.ErrEnded):
			return fmt.Errorf("natsproc: %w", last)
		case last != nil:
			agreed = 0
		case agreed == 2:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("natsproc: %w", errors.Join(context.Cause(ctx), last))
		}
	}
}

// ready is which server is not, and why.
func (c *Cluster) ready(ctx context.Context) error {
	for _, s := range c.Servers {
		select {
		case <-s.process.Done():
			return fmt.Errorf("%s: %w", s.Name, errors.Join(child.ErrEnded, s.process.Err()))
		default:
		}
		if err := s.ready(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// ready is why the server is not.
func (s *Server) ready(ctx context.Context) error {
	var health struct{ Status string }
	if err := s.monitored(ctx, "/healthz", &health); err != nil {
		return err
	}
	if health.Status != "ok" {
		return fmt.Errorf("health is %q", health.Status)
	}
	return s.routed(ctx)
}

// routed is which of its routes the server has not.
func (s *Server) routed(ctx context.Context) error {
	var said struct {
		Routes []struct {
			To      string `json:"remote_name"`
			Account string
		}
	}
	if err := s.monitored(ctx, "/routez", &said); err != nil {
		return err
	}
	pooled, system := map[string]int{}, map[string]int{}
	for _, r := range said.Routes {
		if r.Account == systemAccount {
			system[r.To]++
		} else {
			pooled[r.To]++
		}
	}
	for _, o := range s.cfg.Places {
		if o.Name != s.Name && (pooled[o.Name] != pool || system[o.Name] != 1) {
			return fmt.Errorf("%d of %d routes to %s, and %d of 1 for the system account", pooled[o.Name], pool, o.Name, system[o.Name])
		}
	}
	return nil
}

// monitored reads what the monitoring port says.
func (s *Server) monitored(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Monitoring+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DialContext: s.Dial, DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
