package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// streams carry Raft over the fleet's links. A server's address is HOST:PORT/STORE: whoever has lost its store would
// otherwise answer in the name of the one that voted.
type streams struct {
	net.Listener
	links    Links
	address  string // of this gateway
	store    string // of this gateway
	patience time.Duration
}

// serverAddress is a gateway's address for Raft.
func serverAddress(address, store string) raft.ServerAddress {
	return raft.ServerAddress(address + "/" + store)
}

// ways finds the address by which a member is dialed: that of a link with it, where there is one, since what a member
// says of itself need not be the way from here.
type ways struct{ n *Node }

// ServerAddr implements raft.ServerAddressProvider. An error makes Raft take the address of its configuration.
func (w ways) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	v := voterOf(id)
	for _, l := range w.n.cfg.Links.Links() {
		if l.Gateway == v.Name && !l.In {
			return serverAddress(l.Address, v.Store), nil
		}
	}
	return "", fmt.Errorf("control: no link leads to %s", v.Name)
}

// Dial implements raft.StreamLayer.
func (s *streams) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	at, store, ok := strings.Cut(string(address), "/")
	if !ok || store == "" || len(store) > authority.MaxName {
		return nil, fmt.Errorf("control: %.100q is no address with a store", address)
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(timeout, s.patience))
	defer cancel()
	c, err := s.links.Stream(ctx, at)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(append([]byte{byte(len(store))}, store...)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Accept implements net.Listener.
func (s *streams) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &meant{Conn: c, store: s.store}, nil
}

// Addr implements net.Listener.
func (s *streams) Addr() net.Addr { return storeAddr(serverAddress(s.address, s.store)) }

type storeAddr string

// Network implements net.Addr.
func (storeAddr) Network() string { return "tcp" }

// String implements net.Addr.
func (a storeAddr) String() string { return string(a) }

// errOtherStore: a stream is meant for a store that this gateway does not have, or not any more.
var errOtherStore = errors.New("control: a stream for another store")

// meant is a connection that begins with the store that it is meant for. Raft reads it from one goroutine.
type meant struct {
	net.Conn
	store string
	known bool
}

// Read implements net.Conn.
func (m *meant) Read(b []byte) (int, error) {
	if !m.known {
		if err := m.begin(); err != nil {
			return 0, err
		}
		m.known = true
	}
	return m.Conn.Read(b)
}

func (m *meant) begin() error {
	var n [1]byte
	if _, err := io.ReadFull(m.Conn, n[:]); err != nil {
		return err
	}
	store := make([]byte, n[0])
	if _, err := io.ReadFull(m.Conn, store); err != nil {
		return err
	}
	if string(store) != m.store {
		return errOtherStore
	}
	return nil
}
