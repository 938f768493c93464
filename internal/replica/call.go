package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// labelHeader names the cluster and generation that a request belongs to.
const labelHeader = "Quorate-Cluster"

// errAlone: a fleet of one has nobody to ask.
var errAlone = errors.New("there are no other gateways")

// maxBody bounds a request and an answer, in bytes: a batch, or one record that is larger than a batch.
func (s *Store) maxBody() int64 { return int64(s.cfg.MaxRecord) + 4<<20 }

// call asks another gateway.
func (s *Store) call(ctx context.Context, gateway, what string, body []byte) ([]byte, error) {
	if s.cfg.Transport == nil {
		return nil, errAlone
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://gateway"+Path+what, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", what, gateway, err)
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	r.Header.Set(labelHeader, s.cfg.Label())
	resp, err := s.cfg.Transport(gateway).RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", what, gateway, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, s.maxBody()+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s at %s: %w", what, gateway, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s at %s: %s: %.200s", what, gateway, resp.Status, answer)
	case int64(len(answer)) > s.maxBody():
		return nil, fmt.Errorf("%s at %s: more than %d bytes", what, gateway, s.maxBody())
	}
	return answer, nil
}
