package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/peer"
)

// Path is where the control group's requests are served, between gateways only.
const Path = "/quorate/control/"

// clusterHeader names the cluster and generation that a request belongs to. Requests have no hello that would tell.
const clusterHeader = "Quorate-Cluster"

// open reports whether a request is for gateways without a cluster too.
func open(what string) bool { return what == "self" || what == "found" || what == "join" }

// maxBody bounds a request or an answer, in bytes.
const maxBody = 2 * maxEntry

// callTimeout bounds one request to another gateway, where the caller's context does not.
const callTimeout = 5 * time.Second

// votersTimeout bounds a change of voters.
const votersTimeout = 3 * Patience

// errNotLeader: the gateway that was asked does not lead.
var errNotLeader = errors.New("it does not lead")

// remark is the body of an answer that is no success.
type remark struct {
	Error string `json:"error"`
}

// ServeHTTP answers other gateways of the fleet; who asks is known from the certificate.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, ok := peer.From(r.Context())
	if !ok || r.Method != http.MethodPost {
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	what := strings.TrimPrefix(r.URL.Path, Path)
	if theirs := r.Header.Get(clusterHeader); theirs != n.clusterLabel() && !open(what) {
		http.Error(w, "of another cluster", http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
		return
	}
	out, err := n.serve(r.Context(), from, what, body)
	code := http.StatusOK
	if err != nil {
		code, out = codeOf(err), remark{err.Error()}
	}
	b, err := json.Marshal(out)
	if err != nil {
		code, b = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(b) // the other side left
}

func codeOf(err error) int {
	switch {
	case errors.Is(err, errNotLeader):
		return http.StatusMisdirectedRequest
	case errors.Is(err, ErrNoQuorum):
		return http.StatusServiceUnavailable
	case errors.Is(err, ErrStranger):
		return http.StatusNotFound
	}
	return http.StatusConflict
}

func (n *Node) serve(ctx context.Context, from peer.Identity, what string, body []byte) (any, error) {
	switch what {
	case "self":
		return n.self(), nil
	case "found":
		return decode(body, func(f founding) (any, error) { return struct{}{}, n.adopt(f, from) })
	case "join":
		return decode(body, func(j joining) (any, error) { return n.admit(j, from) })
	case "propose":
		if err := entitled(from.Gateway, body); err != nil {
			return nil, err
		}
		return n.propose(ctx, body)
	case "mark":
		return decode(body, func(q markQuery) (any, error) { return n.markHere(ctx, q) })
	case "lead":
		return decode(body, func(q leadQuery) (any, error) { return struct{}{}, n.leadHere(q.Region) })
	case "voters":
		return decode(body, func(q voterQuery) (any, error) { return struct{}{}, n.votersHere(ctx, q) })
	}
	return nil, fmt.Errorf("%w: no request %.40q in this release", ErrRefused, what)
}

func decode[T any](body []byte, do func(T) (any, error)) (any, error) {
	var in T
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return do(in)
}

// call asks another gateway.
func (n *Node) call(ctx context.Context, gateway, what string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("control: %s: %w", what, err)
	}
	return n.callRaw(ctx, gateway, what, b, out)
}

// boundOf is how long a request may take: a change of voters is several changes of the log, one after the other.
func boundOf(what string) time.Duration {
	if what == "voters" {
		return votersTimeout
	}
	return callTimeout
}

func (n *Node) callRaw(ctx context.Context, gateway, what string, body []byte, out any) error {
	if n.cfg.Links == nil {
		return fmt.Errorf("control: %s: %w: a fleet of one has no other gateways", what, ErrNoQuorum)
	}
	ctx, cancel := context.WithTimeout(ctx, boundOf(what))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://gateway"+Path+what, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("control: %s: %w", what, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(clusterHeader, n.clusterLabel())
	resp, err := n.cfg.Links.TransportTo(gateway).RoundTrip(r)
	if err != nil {
		return fmt.Errorf("control: %s at %s: %w: %w", what, gateway, ErrNoQuorum, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("control: %s at %s: %w: %w", what, gateway, ErrNoQuorum, err)
	}
	if err := errorOf(resp.StatusCode, answer); err != nil {
		return fmt.Errorf("control: %s at %s: %w", what, gateway, err)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("control: %s at %s: %w", what, gateway, err)
	}
	return nil
}

func errorOf(code int, body []byte) error {
	if code == http.StatusOK {
		return nil
	}
	var m remark
	if json.Unmarshal(body, &m) != nil {
		m.Error = http.StatusText(code)
	}
	switch code {
	case http.StatusMisdirectedRequest:
		return errNotLeader
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w: %s", ErrRefused, ErrStranger, m.Error)
	case http.StatusConflict:
		return fmt.Errorf("%w: %s", ErrRefused, m.Error)
	}
	return fmt.Errorf("%w: %s", ErrNoQuorum, m.Error)
}

// Self is what a gateway says of itself.
type Self struct {
	Gateway string    `json:"gateway"`
	Region  string    `json:"region"`
	Store   string    `json:"store"`
	Role    string    `json:"role"`
	Address string    `json:"address"`
	Cluster string    `json:"cluster"`
	Epoch   uint64    `json:"generation"`
	Forcer  string    `json:"forcer,omitempty"`
	Founded *founding `json:"founded,omitempty"`
	Expect  []string  `json:"expect,omitempty"` // sorted
	Applied uint64    `json:"applied"`
	Entry   uint64    `json:"entry"` // the last one of the state machine
	Build   string    `json:"build"`
	Commit  uint64    `json:"commit"`
	Leader  string    `json:"leader"`
	Gate    bool      `json:"gate"`
	Life    uint64    `json:"incarnation"`
	Version uint64    `json:"rule_version"`
	// Reads are the kinds of commands and the parts that its release applies, sorted.
	Reads []string `json:"reads,omitempty"`
	// Now is its wall clock, Unix milliseconds; 0: its release does not say.
	Now int64 `json:"now,omitempty"`
}

func (n *Node) self() Self {
	id := n.identity()
	s := Self{
		Gateway: n.cfg.Gateway, Region: n.cfg.Region, Store: id.Store, Role: n.cfg.Role.String(), Address: n.cfg.Address,
		Cluster: id.Cluster, Epoch: id.Epoch, Forcer: id.Forcer, Founded: id.Founded, Expect: slices.Sorted(slices.Values(n.cfg.Expect)), Leader: n.leader(), Gate: n.lease.Allow() && !n.witness(),
		Version: n.driver.version.Load(), Entry: n.fsm.read().index, Build: n.cfg.Build,
		Reads: n.readsHere(), Now: n.cfg.Wall().UnixMilli(),
	}
	if r := n.current(); r != nil {
		s.Applied, s.Commit = r.AppliedIndex(), r.CommitIndex()
	}
	for _, g := range n.fsm.read().gateways {
		if g.Gateway == n.cfg.Gateway && g.Fenced == 0 {
			s.Life = uint64(g.Incarnation)
		}
	}
	return s
}

// linked returns the names of the gateways that there is a link with, each once.
func (n *Node) linked() []string {
	if n.cfg.Links == nil {
		return nil
	}
	var all []string
	seen := map[string]bool{n.cfg.Gateway: true}
	for _, l := range n.cfg.Links.Links() {
		if l.Up && l.Gateway != "" && !seen[l.Gateway] {
			seen[l.Gateway] = true
			all = append(all, l.Gateway)
		}
	}
	return all
}

// toLeader asks the leader, or has here answer where this gateway leads. While nobody is known to lead, it waits.
func (n *Node) toLeader(ctx context.Context, what string, in []byte, out any, here func() (any, error)) error {
	for {
		err := n.onceToLeader(ctx, what, in, out, here)
		if !errors.Is(err, errNotLeader) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("control: %s: %w: no leader is known", what, ErrNoQuorum)
		case <-n.ctx.Done():
			return fmt.Errorf("control: %s: %w: this gateway stops", what, ErrNoQuorum)
		}
	}
}

func (n *Node) onceToLeader(ctx context.Context, what string, in []byte, out any, here func() (any, error)) error {
	switch leader := n.leader(); leader {
	case "":
		return errNotLeader
	case n.cfg.Gateway:
		v, err := here()
		if err != nil {
			return err
		}
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, out)
	default:
		return n.callRaw(ctx, leader, what, in, out)
	}
}

func (n *Node) witness() bool { return !n.driver.hasGate() && !n.cfg.Alone }

// ended maps what Raft says of an entry that may or may not be in the log.
func ended(err error) error {
	return fmt.Errorf("%w: %w", ErrNoQuorum, err)
}
