package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds what is read of the admin listener, in bytes.
const maxAnswer = 16 << 20

// Door is one connection to a gateway's admin listener. It is for one goroutine.
type Door struct{ transport *http.Transport }

// Door returns a new one; nothing is sent before the first Ask.
func (m *Member) Door() Door { return Door{m.Transport()} }

// Close frees the connection.
func (d Door) Close() { d.transport.CloseIdleConnections() }

// Ask asks for a path within a second. It returns the HTTP status; into, when not nil, is filled from a 200.
func (d Door) Ask(ctx context.Context, method, path string, body *string, into any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return d.ask(ctx, method, path, body, into)
}

func (d Door) ask(ctx context.Context, method, path string, body *string, into any) (int, error) {
	var sent io.Reader
	if body != nil {
		sent = strings.NewReader(*body)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1"+adminPort+path, sent)
	if err != nil {
		return 0, fmt.Errorf("fleet: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := d.transport.RoundTrip(r)
	if err != nil {
		return 0, fmt.Errorf("fleet: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if into == nil || resp.StatusCode != http.StatusOK {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
		return resp.StatusCode, err
	}
	return resp.StatusCode, json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into)
}

// ask asks once.
func (m *Member) ask(ctx context.Context, method, path string, body *string, into any) (int, error) {
	d := m.Door()
	defer d.Close()
	return d.Ask(ctx, method, path, body, into)
}

// lagMetric is the age of the gateway's oldest change of a session that no other has confirmed.
const lagMetric = "quorate_session_replication_lag_ms"

// Lag asks for the lag of the gateway's copies of sessions.
func (d Door) Lag(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1"+adminPort+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("fleet: %w", err)
	}
	resp, err := d.transport.RoundTrip(r)
	if err != nil {
		return 0, fmt.Errorf("fleet: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxAnswer))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if base, _, _ := strings.Cut(name, "{"); !ok || base != lagMetric {
			continue
		}
		ms, err := strconv.ParseFloat(value, 64)
		_, drained := io.Copy(io.Discard, resp.Body)
		return time.Duration(ms * float64(time.Millisecond)), errors.Join(err, drained)
	}
	return 0, fmt.Errorf("fleet: no %s: %w", lagMetric, errors.Join(lines.Err()))
}
