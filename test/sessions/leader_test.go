package sessions_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
)

// leads is the NATS server that leads the bucket, as any of them says; the first where none does.
func (w *world) leads() int {
	for _, s := range w.nats.Servers {
		if i := w.leader(s); i >= 0 {
			return i
		}
	}
	return 0
}

// leader is the NATS server that leads the bucket, as one of them says; -1 where it does not.
func (w *world) leader(as *natsproc.Server) int {
	var said struct {
		Accounts []struct {
			Streams []struct{ Cluster struct{ Leader string } } `json:"stream_detail"`
		} `json:"account_details"`
	}
	if !w.monitored(as, "/jsz?streams=true", &said) {
		return -1
	}
	for _, a := range said.Accounts {
		for _, b := range a.Streams {
			if i := slices.IndexFunc(w.nats.Servers, func(s *natsproc.Server) bool { return s.Name == b.Cluster.Leader }); i >= 0 {
				return i
			}
		}
	}
	return -1
}

// lead has a NATS server lead the bucket: whoever leads it is asked to hand it over.
func (w *world) lead(to int) {
	w.t.Helper()
	s := w.nats.Servers[to]
	order := fmt.Sprintf(`{"placement": {"preferred": %q}}`, s.Name)
	for end := monotonic() + healed; w.leader(s) != to; {
		err := w.askNATS(s, "$JS.API.STREAM.LEADER.STEPDOWN."+farBucket, order)
		for wait := monotonic() + 5*time.Second; err == nil && w.leader(s) != to && monotonic() < wait; w.pass(20 * time.Millisecond) {
		}
		if monotonic() > end {
			w.t.Fatalf("%s does not lead the bucket: %v", s.Name, err)
		}
		w.pass(20 * time.Millisecond)
	}
}

// askNATS makes a request of JetStream's API. It speaks NATS's text protocol itself: nothing here links a client.
func (w *world) askNATS(s *natsproc.Server, subject, body string) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	c, err := w.edge.dial(ctx, s.Client, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := fmt.Fprintf(c, "CONNECT {\"verbose\": false}\r\nSUB _INBOX.test 1\r\nPUB %s _INBOX.test %d\r\n%s\r\n", subject, len(body), body); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%s: no answer: %w", subject, err)
		}
		switch verb, rest, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "-ERR":
			return errors.New(rest)
		case "MSG":
			words, size := strings.Fields(rest), 0
			if _, err := fmt.Sscan(words[len(words)-1], &size); err != nil {
				return err
			}
			return refused(io.LimitReader(r, int64(size)))
		}
	}
}

// refused is the error in an answer of JetStream's API, nil for none.
func refused(answer io.Reader) error {
	var said struct{ Error struct{ Description string } }
	if err := json.NewDecoder(answer).Decode(&said); err != nil {
		return err
	}
	if said.Error.Description != "" {
		return errors.New(said.Error.Description)
	}
	return nil
}
