package gatewayproc

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
)

// Package is the import path of the gateway's command.
const Package = "github.com/quorate/quorate/cmd/quorate"

// Build builds a command of this module, or of one it depends on at the version in go.mod, into dir, with more flags
// of go build. It has to run within the module and returns the binary's path.
func Build(ctx context.Context, dir, pkg string, flags ...string) (string, error) {
	out := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build"}, flags, []string{"-o", out, pkg})...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("gatewayproc: build %s: %w\n%s", pkg, err, said.Bytes())
	}
	return out, nil
}
