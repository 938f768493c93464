package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/rulebook"
)

// nobody is links that lead nowhere.
type nobody struct {
	ended chan struct{}
	once  sync.Once
}

var errNobody = errors.New("nobody is there")

func (*nobody) Signal(string, []byte) bool                       { return false }
func (*nobody) Stream(context.Context, string) (net.Conn, error) { return nil, errNobody }
func (*nobody) Links() []peer.Link                               { return nil }
func (*nobody) Regreet()                                         {}
func (l *nobody) Streams() net.Listener                          { return l }
func (l *nobody) TransportTo(string) http.RoundTripper           { return l }
func (*nobody) RoundTrip(*http.Request) (*http.Response, error)  { return nil, errNobody }
func (l *nobody) Accept() (net.Conn, error)                      { <-l.ended; return nil, net.ErrClosed }
func (l *nobody) Close() error                                   { l.once.Do(func() { close(l.ended) }); return nil }
func (*nobody) Addr() net.Addr                                   { return storeAddr("here:1") }

// solo is a fleet of one gateway that has a gate like any other.
func solo(t *testing.T, change func(*Config)) *Node {
	t.Helper()
	links := &nobody{ended: make(chan struct{})}
	cfg := Config{
		Gateway: "a", Region: "r", Expect: []string{"a"}, Dir: t.TempDir(), Address: "here:1", Links: links, Rules: rulebook.Rulebook{}, Ask: majority, Logger: quiet(),
	}
	if change != nil {
		change(&cfg)
	}
	n, err := Open(cfg)
	must(t, err)
	t.Cleanup(func() {
		_ = n.Close(context.Background())
		_ = links.Close()
	})
	eventually(t, "the gate is open", n.Allow)
	return n
}

// Who leaves says so when its gate is closed, and gets no other life while it stops.
func TestLeave(t *testing.T) {
	n := solo(t, nil)
	must(t, n.driver.do(t.Context(), func(d *driver) { d.gate.End() }))
	if n.Allow() {
		t.Fatal("a gate that has ended is open")
	}
	eventually(t, "it is open in another life", n.Allow)
	n.leave(t.Context())
	if n.Allow() {
		t.Error("a gateway that has left writes")
	}
	life := n.fsm.read().gateways[0]
	if _, err := n.tryLive(t.Context()); err != nil {
		t.Error(err)
	}
	if now := n.fsm.read().gateways[0]; life.Fenced == 0 || now != life {
		t.Errorf("it left as %+v, and is %+v", life, now)
	}
}

// Nobody waits for a driver that has ended.
func TestClosed(t *testing.T) {
	n := solo(t, nil)
	must(t, n.Close(t.Context()))
	if err := n.driver.do(t.Context(), func(*driver) {}); !errors.Is(err, ErrNoQuorum) {
		t.Error(err)
	}
	if err := n.Force(t.Context(), "r", "test"); err == nil {
		t.Error("forced after its end")
	}
	if _, _, err := n.Propose(t.Context(), "part", nil); !errors.Is(err, ErrNoQuorum) {
		t.Error(err)
	}
	if err := n.command(t.Context(), authority.Noop{}); err == nil {
		t.Error("committed after its end")
	}
}

// sum is a part whose state is one number. It refuses what is no number.
type sum struct{ total int }

func (s *sum) Apply(_ uint64, command []byte) ([]byte, error) {
	n, err := strconv.Atoi(string(command))
	if err != nil {
		return nil, err
	}
	s.total += n
	return []byte(strconv.Itoa(s.total)), nil
}

func (s *sum) Snapshot() ([]byte, error) { return []byte(strconv.Itoa(s.total)), nil }

func (s *sum) Restore(b []byte) (err error) {
	s.total, err = strconv.Atoi(string(b))
	return err
}
