package consulproc

import (
	"maps"
	"net"
	"strconv"
)

// document is the agent's configuration file: everything on loopback, nothing that a test does not use, and federation
// that is tried often.
func (a *Agent) document() map[string]any {
	d := map[string]any{
		"datacenter": a.cfg.Datacenter, "node_name": a.cfg.Node,
		"bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "log_level": "warn",
		"disable_update_check": true, "enable_script_checks": false,
		"ui_config": map[string]any{"enabled": false}, "connect": map[string]any{"enabled": false},
		"ports":                   a.portsDocument(),
		"limits":                  map[string]any{"http_max_conns_per_client": 2000},
		"retry_interval_wan":      "200ms",
		"rejoin_after_leave":      false,
		"leave_on_terminate":      false,
		"skip_leave_on_interrupt": true,
	}
	if len(a.cfg.JoinWAN) > 0 {
		d["retry_join_wan"] = a.wan()
	}
	if a.cfg.ManagementToken != "" {
		d["primary_datacenter"] = a.cfg.Datacenter
		d["acl"] = map[string]any{
			"enabled": true, "default_policy": "deny", "enable_token_persistence": false,
			"tokens": map[string]any{"initial_management": a.cfg.ManagementToken, "agent": a.cfg.ManagementToken},
		}
	}
	if a.cfg.CertFile != "" {
		d["tls"] = map[string]any{"https": a.tlsDocument()}
	}
	maps.Copy(d, a.cfg.Options)
	return d
}

func (a *Agent) portsDocument() map[string]int {
	p := map[string]int{
		"http": a.ports.http, "https": -1, "dns": -1, "grpc": -1, "grpc_tls": -1,
		"server": a.ports.server, "serf_lan": a.ports.serfLAN, "serf_wan": a.ports.serfWAN,
	}
	if a.cfg.CertFile != "" {
		p["http"], p["https"] = -1, a.ports.http
	}
	return p
}

func (a *Agent) tlsDocument() map[string]any {
	d := map[string]any{"cert_file": a.cfg.CertFile, "key_file": a.cfg.KeyFile}
	if a.cfg.CAFile != "" {
		d["ca_file"], d["verify_incoming"] = a.cfg.CAFile, true
	}
	return d
}

func (a *Agent) wan() []string {
	var addresses []string
	for _, other := range a.cfg.JoinWAN {
		addresses = append(addresses, net.JoinHostPort("127.0.0.1", strconv.Itoa(other.ports.serfWAN)))
	}
	return addresses
}
