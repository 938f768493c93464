package config

import "time"

// Service is one logical MCP server, reachable at a path; its nodes are its pool.
type Service struct {
	Name        string             `yaml:"name" required:"true" is:"name" example:"tools" doc:"The service's name, unique in this file."`
	Path        string             `yaml:"path" required:"true" is:"path" example:"/mcp" doc:"The URL path that agents use, unique in this file. It must match exactly."`
	Discover    []Discover         `yaml:"discover" required:"true" min:"1" max:"64" example:"[{static: {nodes: [{id: a, url: \"http://127.0.0.1:9001/mcp\"}]}}]" doc:"Where the service's nodes come from. A source can only propose nodes: each is verified by an MCP round trip before it gets traffic."`
	Identity    Identity           `yaml:"identity" word:"none" doc:"What every node must prove on every connection before it is sent a byte. The word none, or nothing: only what its URL says."`
	Class       string             `yaml:"class" default:"medium" enum:"fast,medium,slow" doc:"Latency class of requests without a route that gives one."`
	Spill       string             `yaml:"spill" default:"any" enum:"strict,next,any" doc:"Which slower regions such requests may use: none, those one class slower, or all."`
	Limits      Limits             `yaml:"limits" doc:"What the service's pool in this region has in flight, by latency class."`
	Checks      Checks             `yaml:"checks" doc:"Active health checks: a real MCP round trip."`
	Attempt     Attempt            `yaml:"attempt" doc:"The bounds of one attempt on one node. None of them ever cuts a slow call on a node that still answers."`
	Retry       Retry              `yaml:"retry" doc:"How many more attempts the service's requests may cost."`
	Breaker     Breaker            `yaml:"breaker" doc:"The circuit breaker that every node of the service has."`
	Balance     Balance            `yaml:"balance" doc:"How requests are spread over the pool."`
	Ledger      Ledger             `yaml:"ledger" doc:"How tools/call under an idempotency key of the agent's is remembered, on routes with ledger: on."`
	Session     Session            `yaml:"session" doc:"Legacy sessions (initialize ... DELETE). Requests of 2026-07-28 and later have none."`
	Replication ServiceReplication `yaml:"replication" doc:"How the service's sessions are kept, otherwise than the top-level section says."`
	Affinity    Affinity           `yaml:"affinity" doc:"Which modern requests stay with one node. Legacy sessions and task ids always do."`
	Routes      []Route            `yaml:"routes" max:"1000" doc:"Rules for some of the service's requests. The first whose match fits decides."`
}

// Discover is one source of nodes; exactly one of its fields is set.
type Discover struct {
	Static *Static         `yaml:"static" doc:"Nodes written in this file."`
	Consul *DiscoverConsul `yaml:"consul" doc:"Instances of a service in Consul."`
	DNS    *DiscoverDNS    `yaml:"dns" doc:"Records in DNS that several independent resolvers agree on."`
}

// Static is a fixed list of nodes.
type Static struct {
	Region string `yaml:"region" is:"name" example:"ap-south" doc:"Region of the nodes. Empty: this gateway's own."`
	Nodes  []Node `yaml:"nodes" required:"true" max:"10000" example:"[{id: a, url: \"http://127.0.0.1:9001/mcp\"}]" doc:"The nodes. An empty list declares a service that has none yet."`
}

// Node is one MCP server process.
type Node struct {
	ID     string `yaml:"id" required:"true" is:"name" example:"a" doc:"The node's id, unique in its service."`
	URL    string `yaml:"url" required:"true" is:"url" example:"http://127.0.0.1:9001/mcp" doc:"The node's MCP endpoint, http or https, unique in its service."`
	Weight int    `yaml:"weight" default:"1" min:"1" max:"1000" doc:"The node's share of traffic relative to the others."`
}

// Checks are a service's active health checks.
type Checks struct {
	Interval  time.Duration `yaml:"interval" default:"5s" min:"100ms" max:"1h" doc:"Time between two checks of one node, with jitter. A request that loses its connection causes a check at once."`
	Failures  int           `yaml:"failures" default:"3" min:"1" max:"100" doc:"Failed checks in a row after which a node is unhealthy."`
	Successes int           `yaml:"successes" default:"2" min:"1" max:"100" doc:"Good checks in a row after which an unhealthy node is healthy again."`
	Forget    time.Duration `yaml:"forget" default:"10m" min:"1s" max:"720h" doc:"How long a node is kept that no source names any more, or whose sources are silent, and that fails its checks."`
}

// Attempt bounds one try on one node.
type Attempt struct {
	Connect time.Duration `yaml:"connect" default:"250ms" min:"1ms" max:"1m" restart:"true" doc:"How long a connect to a node may take."`
	Suspect time.Duration `yaml:"suspect" default:"300ms" min:"1ms" max:"10m" restart:"true" doc:"Silence before response headers after which the node is probed on another connection, while the call goes on."`
	Probe   time.Duration `yaml:"probe" default:"400ms" min:"1ms" max:"1m" restart:"true" doc:"How long that probe may take. Only when it fails is the call taken elsewhere and the node unhealthy for everybody."`
}

// Retry bounds what retries may cost a service.
type Retry struct {
	Attempts      int `yaml:"attempts" default:"3" min:"1" max:"10" doc:"Attempts per request, the first included. 1 turns retries off."`
	BudgetPercent int `yaml:"budget_percent" default:"20" min:"0" max:"100" restart:"true" doc:"Retries allowed, as a share of the service's requests."`
	BudgetMin     int `yaml:"budget_min" default:"3" min:"0" max:"1000" restart:"true" doc:"Retries per second always allowed, however few requests there are."`
}

// Breaker is the circuit breaker in front of each node.
type Breaker struct {
	Window         time.Duration `yaml:"window" default:"10s" min:"10ms" max:"1h" restart:"true" doc:"Time over which outcomes are counted."`
	FailurePercent int           `yaml:"failure_percent" default:"50" min:"1" max:"100" restart:"true" doc:"Share of failed attempts in the window that opens the breaker."`
	MinCalls       int           `yaml:"min_calls" default:"20" min:"1" max:"100000" restart:"true" doc:"Attempts in the window below which that share opens nothing."`
	Consecutive    int           `yaml:"consecutive" default:"5" min:"1" max:"100000" restart:"true" doc:"Failed attempts in a row that open the breaker, however long they took."`
	Open           time.Duration `yaml:"open" default:"1s" min:"10ms" max:"1h" restart:"true" doc:"How long an open breaker refuses attempts before it lets one through to try the node."`
}

// Balance says how requests are spread.
type Balance struct {
	SlowStart time.Duration `yaml:"slow_start" default:"10s" min:"0s" max:"1h" doc:"Time over which a node that became healthy grows to its full share. 0s turns it off."`
}

// Session bounds a service's legacy sessions.
type Session struct {
	Idle         time.Duration `yaml:"idle" default:"30m" min:"1s" max:"720h" restart:"true" doc:"Time without a request or an open stream after which a session ends."`
	Sweep        time.Duration `yaml:"sweep" default:"5m" min:"100ms" max:"24h" restart:"true" doc:"Time between two searches for idle sessions."`
	Max          int           `yaml:"max" default:"100000" min:"1" max:"10000000" restart:"true" doc:"Sessions held at once; one more is refused with error -32073."`
	BufferEvents int           `yaml:"buffer_events" default:"256" min:"1" max:"100000" restart:"true" doc:"Events kept per stream for an agent that comes back with Last-Event-ID."`
	BufferBytes  Size          `yaml:"buffer_bytes" default:"256KiB" min:"1KiB" max:"64MiB" restart:"true" doc:"Bytes of such events kept per stream."`
}

// Ledger says how calls under keys are remembered.
type Ledger struct {
	IdentityHeader string        `yaml:"identity_header" default:"Authorization" example:"X-Account" doc:"Header whose values say who calls. Two callers never share a key, and a caller without the header is one of its own. With tokens that change often, name a header that does not: a new value is a new caller, to whom an old key means nothing."`
	Retention      time.Duration `yaml:"retention" default:"24h" min:"1m" max:"720h" doc:"How long a key is remembered: within it, a call runs at most once under its key."`
	MaxResult      Size          `yaml:"max_result" default:"64KiB" min:"1KiB" max:"64KiB" doc:"The largest result that is kept for a repeated key. Of a larger one the key's repeat is told only that the call has run."`
}

// Affinity says what pins a modern request to a node.
type Affinity struct {
	RequestState bool `yaml:"request_state" default:"false" doc:"Send a request that returns a requestState to the node that issued it, for servers that keep that state in memory."`
}

// Retry classes a route can give. The empty string leaves the class to the method and to the
// annotations of the tool.
const (
	ClassOnce  = "once"
	ClassRetry = "retry"
	ClassHedge = "hedge"
)

// Whether a route's writes need authority.
const (
	AuthorityRequired = "required"
	AuthorityNone     = "none"
)

// Route says what is wanted for the requests it matches.
type Route struct {
	Match      Match         `yaml:"match" required:"true" example:"{tool: \"charge_*\"}" doc:"The requests meant. Every pattern that is set must fit, and only one of tool, prompt and resource can be set. * stands for any run of characters, slashes too, ? for one, [a-z] for one of a set, and a backslash takes the next character as it is."`
	RetryClass string        `yaml:"retry_class" enum:"once,retry,hedge" doc:"What may be done after a failure: once (never sent again after a byte may have reached a node), retry, or hedge (also two at a time). Empty: as the method and the tool's annotations say."`
	Class      string        `yaml:"class" enum:"fast,medium,slow" doc:"Latency class. Empty: the service's."`
	Spill      string        `yaml:"spill" enum:"strict,next,any" doc:"Which slower regions may be used: none, those one class slower, or all. Empty: next if class is given, else the service's."`
	Deadline   time.Duration `yaml:"deadline" default:"0s" min:"0s" max:"24h" doc:"Time from a request's arrival to the end of its answer, after which the agent gets an error. 0s: none. In a legacy session it does not count."`
	Authority  string        `yaml:"authority" default:"required" enum:"required,none" doc:"Whether writes of this route need the authority to write. none is for tools that touch nothing shared: they go on at a gateway that is cut off, where the split-brain mode lets reads go on."`
	Ledger     string        `yaml:"ledger" default:"off" enum:"on,off" doc:"on: a tools/call that carries _meta[\"dev.quorate/idempotencyKey\"] runs at most once under that key, at whichever gateways it arrives; a repeated key is answered with the stored outcome. off: the key is left to the node."`
	Limit      int           `yaml:"limit" default:"0" min:"0" max:"1000000" doc:"Requests of this route in flight at once; one more gets error -32073. 0: no limit of its own."`
}

// LedgerOn is the word that gives a route the ledger.
const LedgerOn = "on"

// Exempt reports whether the route's calls go on without the right to write.
func (r Route) Exempt() bool { return r.Authority == "none" }

// TopRoute is a route for several services.
type TopRoute struct {
	Service    string        `yaml:"service" default:"*" is:"glob" example:"tools" doc:"Pattern of the services' names."`
	Match      Match         `yaml:"match" required:"true" example:"{tool: \"charge_*\"}" doc:"The requests meant, as in a service's routes."`
	RetryClass string        `yaml:"retry_class" enum:"once,retry,hedge" doc:"As in a service's routes."`
	Class      string        `yaml:"class" enum:"fast,medium,slow" doc:"As in a service's routes."`
	Spill      string        `yaml:"spill" enum:"strict,next,any" doc:"As in a service's routes."`
	Deadline   time.Duration `yaml:"deadline" default:"0s" min:"0s" max:"24h" doc:"As in a service's routes."`
	Authority  string        `yaml:"authority" default:"required" enum:"required,none" doc:"As in a service's routes."`
	Ledger     string        `yaml:"ledger" default:"off" enum:"on,off" doc:"As in a service's routes."`
	Limit      int           `yaml:"limit" default:"0" min:"0" max:"1000000" doc:"As in a service's routes, for each service."`
}

// Route returns the route as one service has it.
func (t TopRoute) Route() Route {
	return Route{Match: t.Match, RetryClass: t.RetryClass, Class: t.Class, Spill: t.Spill, Deadline: t.Deadline, Authority: t.Authority, Ledger: t.Ledger, Limit: t.Limit}
}

// Match holds a route's patterns; at least one is set.
type Match struct {
	Tool     string            `yaml:"tool" is:"glob" example:"charge_*" doc:"Pattern of the tool's name in tools/call."`
	Prompt   string            `yaml:"prompt" is:"glob" example:"draft_*" doc:"Pattern of the prompt's name in prompts/get."`
	Resource string            `yaml:"resource" is:"glob" example:"file:///*" doc:"Pattern of the URI in resources/read, subscribe and unsubscribe."`
	Method   string            `yaml:"method" is:"glob" example:"tools/*" doc:"Pattern of the JSON-RPC method."`
	Header   map[string]string `yaml:"header" is:"glob" max:"8" example:"eu-*" doc:"Patterns by header field, such as Mcp-Param-Region for a tool's argument that is mirrored there. Every one must fit the field's first value."`
}
