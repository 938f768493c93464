package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// whySync is said of every server that does not sync before it acknowledges, which is NATS's default.
const whySync = "set sync_interval: always under jetstream in every NATS server: by default what was acknowledged waits up to 2 minutes for the disk, and is lost where servers lose power together"

// maxPage bounds what a monitoring port may answer.
const maxPage = 1 << 20

// server is what a server says of itself on its monitoring port.
type server struct {
	Name   string `json:"server_name"`
	Config struct {
		SyncAlways   bool          `json:"sync_always"`
		SyncInterval time.Duration `json:"sync_interval"`
	} `json:"config"`
}

// syncOf asks the monitoring ports, since nobody else tells a client of it.
func (s *Store) syncOf(ctx context.Context, found *findings) {
	if len(s.set.Monitoring) == 0 {
		found.bad("sync interval", "not known: clients are not told", "write monitoring: [http://HOST:8222] into the settings, and "+whySync)
		return
	}
	var lazy []string
	for _, at := range s.set.Monitoring {
		one, err := ask(ctx, at)
		if err != nil {
			found.bad("sync interval", fmt.Sprintf("%s does not say: %v", at, err), "see that the server runs with a monitoring port")
			return
		}
		if !one.Config.SyncAlways {
			lazy = append(lazy, fmt.Sprintf("%s after %s", at, one.Config.SyncInterval))
		}
	}
	if len(lazy) > 0 {
		found.bad("sync interval", "servers sync late: "+strings.Join(lazy, ", "), whySync)
		return
	}
	found.good("sync interval", fmt.Sprintf("always, at %d servers", len(s.set.Monitoring)))
}

func ask(ctx context.Context, at string) (one server, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(at, "/")+"/jsz?config=true", nil)
	if err != nil {
		return one, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return one, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return one, fmt.Errorf("status %d", answer.StatusCode)
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, maxPage)).Decode(&one)
	return one, err
}
