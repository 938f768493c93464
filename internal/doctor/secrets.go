package doctor

import (
	"os"

	"github.com/quorate/quorate/internal/config"
)

// secrets warns of files with secrets that every user of this machine can read; a file that is kept close is no row.
func (e *examination) secrets() {
	for i, file := range secretFiles(e.cfg) {
		if exposed(file) {
			e.begin(place{subject: aboutSecret, first: i}, "secret", file).set(Warn, "every user of this machine can read it", "chmod o-r "+file)
		}
	}
}

// secretFiles are those that whoever has them can give orders, or be this gateway, with.
func secretFiles(c *config.Config) (all []string) {
	for _, file := range []string{c.Admin.TokenFile, c.Admin.TLS.KeyFile, c.Peer.KeyFile, c.Listen.TLS.KeyFile, c.Consul.TokenFile, c.Consul.KeyFile} {
		if file != "" {
			all = append(all, file)
		}
	}
	return all
}

// exposed: that a file cannot be looked at is told by others.
func exposed(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().Perm()&0o004 != 0
}
