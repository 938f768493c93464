package edge

import (
	"log/slog"
	"net/http"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/config"
)

// maxHeader bounds a request's header section, in bytes. Sixteen times what agents send.
const maxHeader = 64 << 10

// dataServer is the listener for agents: HTTP/1.1 and HTTP/2, with TLS or without.
func (e *Edge) dataServer(cfg *config.Config) (*http.Server, error) {
	s := &http.Server{
		Handler:           e.gateway,
		ReadHeaderTimeout: cfg.Listen.HeaderTimeout,
		IdleTimeout:       cfg.Listen.IdleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	if !cfg.Listen.TLS.Enabled() {
		return s, nil
	}
	tls, err := config.ServerTLS(cfg.Listen.TLS.CertFile, cfg.Listen.TLS.KeyFile, "")
	s.TLSConfig = tls
	return s, err
}

func (e *Edge) adminServer(cfg *config.Config) (*http.Server, error) {
	c := admin.Config{
		Status:      e.Status,
		Ready:       e.Ready,
		Settled:     e.Settled,
		Gate:        e.writable,
		Control:     e.operators(),
		Voters:      voters{e},
		Events:      e.events.After,
		Regions:     e.Regions,
		Order:       e.Order,
		Metrics:     e.opts.Telemetry.Metrics(),
		ClientCerts: cfg.Admin.TLS.ClientCAFile != "",
		Logger:      e.log,
	}
	if !isWitness(cfg) {
		c.Settings = settingsAPI{e}
	}
	if e.sessions.store != nil {
		c.Sessions = e.sessionsAPI()
	}
	if cfg.Admin.TokenFile != "" {
		token, err := config.NewToken(cfg.Admin.TokenFile)
		if err != nil {
			return nil, err
		}
		c.Token, e.token = token, token
	}
	handler, err := admin.New(c)
	if err != nil {
		return nil, err
	}
	s := admin.NewServer(handler, e.log)
	if cfg.Admin.TLS.Enabled() {
		s.TLSConfig, err = config.ServerTLS(cfg.Admin.TLS.CertFile, cfg.Admin.TLS.KeyFile, cfg.Admin.TLS.ClientCAFile)
	}
	return s, err
}
