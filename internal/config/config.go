// Package config reads Quorate's one YAML file and the environment into a checked Config, and
// watches the file for changes. It must not know how any value is used: gateways, listeners and
// nodes are built elsewhere from what it returns.
//
// The struct tags in this package are the only place where a key's name, default, range and
// meaning are written; docs/configuration.md and docs/quorate.schema.json are generated from them.
//
// Tags: yaml (the key), default, doc (a sentence), required, min and max (inclusive), enum
// (comma-separated words), is (the name of a form in form.go), example (what a message tells
// the reader to write), restart (a reload cannot change it, except in a
// service that is new).
package config

import "time"

//go:generate go run ./configdoc -out ../../docs -example ../../examples/edge/quorate.yaml

// Config is one gateway's whole configuration. It is never changed after Load returned it.
type Config struct {
	Name        string            `yaml:"name" required:"true" is:"name" example:"gw-1" restart:"true" doc:"This gateway's name, unique in its fleet."`
	Region      string            `yaml:"region" required:"true" is:"name" example:"us-east" restart:"true" doc:"The failure domain this gateway and its nodes are in."`
	DataDir     string            `yaml:"data_dir" is:"directory" example:"/var/lib/quorate" restart:"true" doc:"Directory for state that outlives the process. Empty: everything lives in memory."`
	Listen      Listen            `yaml:"listen" doc:"The listener that agents talk to."`
	Admin       Admin             `yaml:"admin" doc:"The listener for operators: metrics, liveness, readiness and status."`
	Shutdown    Shutdown          `yaml:"shutdown" doc:"What happens on SIGTERM."`
	Log         Log               `yaml:"log" doc:"The log: JSON lines on standard error."`
	Telemetry   Telemetry         `yaml:"telemetry" doc:"OpenTelemetry export. Metrics are always on the admin listener."`
	Consul      Consul            `yaml:"consul" doc:"Consul, where nodes and gateways can be found. It only proposes: each is verified, and nothing that serves is lost when it goes silent or empty."`
	Peer        Peer              `yaml:"peer" doc:"How this gateway and those of other regions know each other."`
	Regions     map[string]Region `yaml:"regions" is:"name" max:"63" doc:"The other regions, by name."`
	Classes     Classes           `yaml:"classes" doc:"Latency classes: the round trips between this gateway and a region that requests tolerate."`
	Failover    Failover          `yaml:"failover" doc:"Regional failover: when a region's traffic is moved, and how it comes back."`
	Control     Control           `yaml:"control" doc:"The control group: the gateways that agree on who may write. Left out: this gateway is a fleet of one and may always write."`
	SplitBrain  SplitBrain        `yaml:"split_brain" doc:"Split brain: which side of a partition may write."`
	Replication Replication       `yaml:"replication" doc:"Replication: where the contents of sessions are kept, so that an agent's session goes on when its gateway is lost. A service can have its own."`
	Routes      []TopRoute        `yaml:"routes" max:"1000" doc:"Rules for requests of several services. They come after a service's own."`
	Services    []Service         `yaml:"services" required:"true" unless:"control.role=witness" example:"a list with one entry per MCP server, such as - name: tools" min:"1" max:"1000" doc:"The logical MCP servers that this gateway fronts."`

	source     source
	added      map[string]int      // regions that documents brought in, and which came first
	strategies map[string]Strategy // chosen by documents
}

// Listen is the data-plane listener.
type Listen struct {
	Address        string        `yaml:"address" default:"127.0.0.1:8080" is:"address" example:"127.0.0.1:8080" restart:"true" doc:"HOST:PORT to listen on; port 0 takes a free one; an empty host means every interface."`
	TLS            ListenTLS     `yaml:"tls" doc:"Serve HTTPS. Both files or neither; changed files are read again without a restart."`
	AllowedHosts   []string      `yaml:"allowed_hosts" is:"host" max:"1000" example:"mcp.example.com" doc:"Names accepted in the Host header besides loopback names and the host of the listen address, without a port; * accepts all. Empty: only loopback names on a loopback address, any name elsewhere. Defends against DNS rebinding."`
	AllowedOrigins []string      `yaml:"allowed_origins" is:"origin" max:"1000" example:"https://app.example.com" doc:"Origins accepted besides the host that the page itself came from; * accepts all. Empty: pages of loopback hosts may also speak to a loopback gateway. A request without an Origin header is not affected."`
	MaxBody        Size          `yaml:"max_body" default:"4MiB" min:"1KiB" max:"1GiB" restart:"true" doc:"Largest request body; a larger one gets HTTP 413. Responses have no limit."`
	HeaderTimeout  time.Duration `yaml:"header_timeout" default:"10s" min:"10ms" max:"10m" restart:"true" doc:"How long an agent may take to send a request's headers."`
	BodyTimeout    time.Duration `yaml:"body_timeout" default:"30s" min:"10ms" max:"1h" restart:"true" doc:"How long an agent may take to send a request's body. There is no limit on how long a call may run."`
	IdleTimeout    time.Duration `yaml:"idle_timeout" default:"2m" min:"1s" max:"24h" restart:"true" doc:"How long an idle keep-alive connection stays open."`
}

// ListenTLS makes the data-plane listener serve HTTPS.
type ListenTLS struct {
	CertFile string `yaml:"cert_file" is:"file" example:"/etc/quorate/tls.crt" restart:"true" doc:"PEM certificate chain."`
	KeyFile  string `yaml:"key_file" is:"file" example:"/etc/quorate/tls.key" restart:"true" doc:"PEM private key of the certificate."`
}

// Enabled reports whether the listener serves HTTPS.
func (t ListenTLS) Enabled() bool { return t.CertFile != "" }

// Admin is the operators' listener.
type Admin struct {
	Address   string   `yaml:"address" default:"127.0.0.1:9090" is:"address" example:"127.0.0.1:9090" restart:"true" doc:"HOST:PORT of the admin listener. An address that is not loopback needs token_file or tls.client_ca_file."`
	TokenFile string   `yaml:"token_file" is:"file" example:"/etc/quorate/admin.token" restart:"true" doc:"File holding the bearer token that admin requests must carry. A changed file is read again without a restart."`
	TLS       AdminTLS `yaml:"tls" doc:"Serve the admin listener over HTTPS."`
}

// AdminTLS makes the admin listener serve HTTPS, and with a client CA ask for client certificates.
type AdminTLS struct {
	CertFile     string `yaml:"cert_file" is:"file" example:"/etc/quorate/admin.crt" restart:"true" doc:"PEM certificate chain."`
	KeyFile      string `yaml:"key_file" is:"file" example:"/etc/quorate/admin.key" restart:"true" doc:"PEM private key of the certificate."`
	ClientCAFile string `yaml:"client_ca_file" is:"file" example:"/etc/quorate/admin-ca.crt" restart:"true" doc:"PEM certificates of the authorities whose client certificates are let in."`
}

// Enabled reports whether the admin listener serves HTTPS.
func (t AdminTLS) Enabled() bool { return t.CertFile != "" }

// Shutdown bounds an orderly stop.
type Shutdown struct {
	Drain time.Duration `yaml:"drain" default:"20s" min:"0s" max:"1h" doc:"How long requests in flight may take to finish after SIGTERM before they are cut."`
}

// Log says how much is logged.
type Log struct {
	Level string `yaml:"level" default:"info" enum:"debug,info,warn,error" doc:"The least severe level that is logged."`
}

// Telemetry says what is exported.
type Telemetry struct {
	Traces Traces `yaml:"traces" doc:"Traces, sent over OTLP/HTTP. Export never blocks a request; what does not fit the queue is dropped and counted."`
}

// Traces says where traces go.
type Traces struct {
	Endpoint      string `yaml:"endpoint" is:"url" example:"http://127.0.0.1:4318/v1/traces" restart:"true" doc:"OTLP/HTTP URL. Empty: no traces."`
	SamplePercent int    `yaml:"sample_percent" default:"10" min:"0" max:"100" restart:"true" doc:"Share of traces begun here that is kept. A trace begun by the agent keeps the agent's decision."`
}
