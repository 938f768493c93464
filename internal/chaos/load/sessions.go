package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/mcpagent"
	"github.com/quorate/quorate/internal/mcpnode"
)

// sessionTimeout bounds one operation on a session: longer than a gateway looks for one.
const sessionTimeout = 6 * time.Second

// fleetID begins the ids of sessions that any gateway may serve.
const fleetID = "q1"

// What agents know of the protocol.
const (
	methodLevel       = "logging/setLevel"
	methodSubscribe   = "resources/subscribe"
	methodUnsubscribe = "resources/unsubscribe"
	headerSession     = "Mcp-Session-Id"
	headerAuthority   = "Quorate-Authority" // of a gateway that may not write
)

// level is the item of a session that its agent sets most; the others are whether it has subscribed to something.
const level = "level"

var levels = [...]string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// subscriptions are what agents subscribe to.
var subscriptions = [...]string{mcpnode.UpdatesURI + "/a", mcpnode.UpdatesURI + "/b"}

// subscribed is the value of a subscription that there is.
const subscribed = "yes"

// rover is an agent with one legacy session, which it goes on with at any gateway.
type rover struct {
	load     *Load
	name     string
	places   []string // gateways
	raw      []*mcpagent.Agent
	rnd      *rand.Rand
	at       int // the place of the last operation
	id       string
	sessions int // opened so far
	calls    int
}

// rove starts the agents of sessions: some at each service.
func (l *Load) rove(ctx context.Context, n *uint64) {
	if len(l.cfg.Places) == 0 {
		return
	}
	for i := range l.cfg.Places[0].URLs {
		for k := range l.cfg.Sessions {
			*n++
			r := &rover{load: l, name: fmt.Sprintf("s%d.%d", i, k), rnd: rand.New(rand.NewPCG(l.cfg.Seed, *n))}
			for _, p := range l.cfg.Places {
				r.places = append(r.places, p.Gateway)
				r.raw = append(r.raw, mcpagent.New(p.URLs[i], true, p.Transport()))
			}
			l.work.Go(func() { r.run(ctx) })
		}
	}
}

func (r *rover) run(ctx context.Context) {
	defer func() {
		for _, raw := range r.raw {
			raw.Close()
		}
	}()
	think := time.NewTimer(0)
	defer think.Stop()
	for {
		select {
		case <-r.load.stop:
			return
		case <-think.C:
		}
		r.one(ctx)
		think.Reset(r.load.cfg.Think/2 + time.Duration(r.rnd.Int64N(int64(r.load.cfg.Think)+1)))
	}
}

// one does one thing with the session, through the gateway of the last one or any.
func (r *rover) one(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	if r.rnd.IntN(2) == 0 {
		r.at = r.rnd.IntN(len(r.raw))
	}
	raw := r.raw[r.at]
	if r.id == "" {
		r.open(ctx, raw)
		return
	}
	raw.Join(r.id)
	switch n := r.rnd.IntN(10); {
	case n < 3:
		r.set(ctx, raw, level, levels[r.rnd.IntN(len(levels))])
	case n < 5:
		r.set(ctx, raw, subscriptions[r.rnd.IntN(len(subscriptions))], [...]string{subscribed, ""}[r.rnd.IntN(2)])
	case n < 8:
		r.look(ctx, raw)
	default:
		r.write(ctx, raw)
	}
	if raw.Session() == "" {
		r.id = ""
	}
}

func (r *rover) session() string { return fmt.Sprintf("%s-%d", r.name, r.sessions) }

func (r *rover) open(ctx context.Context, raw *mcpagent.Agent) {
	r.sessions++
	o := history.Op{Kind: history.Open}
	r.note(&o, func() (mcpagent.Answer, error) { return raw.Open(ctx) })
	if o.Outcome != history.OK {
		return
	}
	r.id = raw.Session()
	if !strings.HasPrefix(r.id, fleetID) {
		r.id = "" // of that process alone: there is nothing to see
	}
}

// set changes an item of the session.
func (r *rover) set(ctx context.Context, raw *mcpagent.Agent, item, value string) {
	o := history.Op{Kind: history.Set, Item: item, Value: value}
	method, params := methodLevel, map[string]string{"level": value}
	if item != level {
		method, params = methodSubscribe, map[string]string{"uri": item}
		if value == "" {
			method = methodUnsubscribe
		}
	}
	r.note(&o, func() (mcpagent.Answer, error) { return raw.Ask(ctx, method, params) })
}

// look asks the session's node what the session has set.
func (r *rover) look(ctx context.Context, raw *mcpagent.Agent) {
	o := history.Op{Kind: history.Look}
	r.note(&o, func() (mcpagent.Answer, error) {
		a, err := raw.Tool(ctx, mcpnode.ToolSettings, mcpnode.Args{})
		if err == nil {
			o.Seen, err = seen(a.Text())
		}
		return a, err
	})
}

// seen reads the answer of the tool settings.
func seen(text string) (map[string]string, error) {
	at, uris, ok := strings.Cut(text, " subscribed=")
	at, is := strings.CutPrefix(at, "level=")
	if !ok || !is {
		return nil, fmt.Errorf("the tool settings answers %.100q", text)
	}
	all := map[string]string{level: at}
	for _, uri := range strings.Split(uris, ",") {
		if uri != "" {
			all[uri] = subscribed
		}
	}
	return all, nil
}

// write makes a call in the session that must not be made twice. The journals tell who dispatched it.
func (r *rover) write(ctx context.Context, raw *mcpagent.Agent) {
	r.calls++
	c := history.Call{ID: fmt.Sprintf("%s-%d", r.session(), r.calls), Session: r.session(), Gateway: r.places[r.at], Kind: history.Write}
	r.load.about(c)
	c.Invoke = r.load.cfg.Clock()
	_, err := raw.Tool(ctx, mcpnode.ToolCharge, mcpnode.Args{Call: c.ID})
	c.Return = r.load.cfg.Clock()
	c.Outcome, c.Code = outcome(err)
	if err != nil {
		c.Text = fmt.Sprintf("%.200s", err)
	}
	r.load.note(c)
	var call *mcpagent.CallError
	if errors.As(err, &call) && call.SessionLost { // which is a matter of the session, too
		r.load.noteOp(history.Op{Session: r.session(), Gateway: c.Gateway, Kind: history.Look, Invoke: c.Invoke, Return: c.Return, Outcome: history.Unknown, Gone: true})
	}
}

// note does an operation and notes what came of it.
func (r *rover) note(o *history.Op, do func() (mcpagent.Answer, error)) {
	o.Session, o.Gateway = r.session(), r.places[r.at]
	o.Invoke = r.load.cfg.Clock()
	a, err := do()
	o.Return = r.load.cfg.Clock()
	o.Outcome, o.Code = outcome(err)
	o.Minority = a.Header.Get(headerAuthority) != ""
	if id := a.Header.Get(headerSession); o.Kind == history.Open && !strings.HasPrefix(id, fleetID) {
		o.Minority = true
	}
	var call *mcpagent.CallError
	if errors.As(err, &call) {
		o.Gone = call.SessionLost
	}
	if err != nil {
		o.Text = fmt.Sprintf("%.200s", err)
	}
	r.load.noteOp(*o)
	if o.Kind == history.Set && o.Outcome == history.OK {
		r.load.change(r.name)
	}
}

func (l *Load) change(agent string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed[agent]++
}

// Roving is how many agents have changed a session that goes on at any gateway.
func (l *Load) Roving() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.changed)
}
