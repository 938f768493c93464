package authority_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/peer"
)

// orders has a gateway of the fleet, which serves nobody, pass on changes of voters as any gateway does.
type orders struct {
	f     *fleet
	peers *peer.Peers
}

// orders links this process with the fleet.
func (f *fleet) orders() *orders {
	f.t.Helper()
	const region, name = "us", "gw-of-the-test"
	_, err := ca.Issue(f.dir, region, name, ca.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(f.dir, name) }
	credentials, err := peer.LoadCredentials(file("ca.crt"), file(region+"-"+name+".crt"), file(region+"-"+name+".key"))
	if err != nil {
		f.t.Fatal(err)
	}
	p, err := peer.New(peer.Config{Credentials: credentials, Version: "test", Forward: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = p.Close(ctx) // what is cut off is the test's own
	})
	var all []peer.Remote
	for _, m := range f.members {
		all = append(all, peer.Remote{Address: m.peer})
	}
	if err := p.SetRemotes(all); err != nil {
		f.t.Fatal(err)
	}
	return &orders{f, p}
}

// voters adds a voter, or removes one. declared is how many there are to be in the end.
func (o *orders) voters(name string, add bool, declared int) error {
	body, err := json.Marshal(map[string]any{"name": name, "add": add, "declared": declared})
	if err != nil {
		return err
	}
	for end := time.Now().Add(healed); ; {
		again, err := o.ask(body)
		if !again || time.Now().After(end) {
			return err
		}
		o.f.pass(100 * time.Millisecond) // until somebody leads
	}
}

// ask asks whoever leads; again says that nobody does, as far as is known.
func (o *orders) ask(body []byte) (again bool, err error) {
	leader, id := "", ""
	for _, m := range o.f.members {
		if s := m.cluster(); s.Leader != "" {
			leader, id = s.Leader, s.ID
			break
		}
	}
	ctx, cancel := context.WithTimeout(o.f.t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://gateway"+control.Path+"voters", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Quorate-Cluster", id+".1")
	resp, err := o.peers.TransportTo(leader).RoundTrip(r)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil || resp.StatusCode == http.StatusOK {
		return err != nil, err
	}
	return resp.StatusCode == http.StatusMisdirectedRequest || resp.StatusCode == http.StatusServiceUnavailable,
		fmt.Errorf("%s: %s", resp.Status, said)
}
