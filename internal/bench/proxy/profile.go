package proxy

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// profile loads a gateway of its own that writes a processor profile of its life.
func (r *run) profile(ctx context.Context) error {
	file, err := filepath.Abs(r.cfg.Profile)
	if err != nil {
		return fmt.Errorf("proxy: profile: %w", err)
	}
	s, err := r.startQuorate(ctx, "profile", "--cpuprofile", file)
	if err != nil {
		return err
	}
	for _, k := range Kinds {
		if _, err := r.load(ctx, s, k, time.Duration(r.cfg.Slices)*r.cfg.For); err != nil {
			return err
		}
	}
	if err := s.gateway.Stop(); err != nil {
		return fmt.Errorf("proxy: profile: %w", err)
	}
	fmt.Fprintln(r.cfg.Out, "profile:", file)
	return nil
}
