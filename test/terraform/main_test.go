// Package terraform_test lets Terraform itself, with the provider inside the test's process or from a mirror, provision
// real fleets of quorate processes. What happened is judged by Terraform's plans and by the fleets' own answers.
package terraform_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/gatewayproc"
)

// binary is the quorate command, built once for all tests of this package, or the one that TEST_BINARY names. terraform
// is Terraform or OpenTofu; "" where there is none.
var binary, terraform string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "quorate-terraform-")
	if err == nil {
		defer os.RemoveAll(dir)
		if binary = os.Getenv("TEST_BINARY"); binary == "" {
			binary, err = gatewayproc.Build(context.Background(), dir, gatewayproc.Package)
		}
	}
	if err == nil {
		err = findTerraform(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// findTerraform sets up what plugin-testing and the processes here read.
func findTerraform(dir string) error {
	if terraform = os.Getenv("TF_ACC_TERRAFORM_PATH"); terraform == "" {
		terraform, _ = exec.LookPath("terraform")
	}
	if terraform == "" {
		return nil
	}
	// An operator's own settings are no part of the tests, and neither are downloads.
	rc := filepath.Join(dir, "terraformrc")
	if err := os.WriteFile(rc, nil, 0o600); err != nil {
		return err
	}
	for name, value := range map[string]string{"TF_ACC": "1", "TF_ACC_TERRAFORM_PATH": terraform, "TF_CLI_CONFIG_FILE": rc, "CHECKPOINT_DISABLE": "1"} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// needsTerraform skips a test where there is no Terraform, loudly; in CI that is a failure.
func needsTerraform(t *testing.T) {
	t.Helper()
	switch {
	case terraform != "":
	case os.Getenv("CI") == "true":
		t.Fatal("no terraform is on the PATH, and TF_ACC_TERRAFORM_PATH names none: nothing of the provider would be tested")
	default:
		t.Skip("!!!! NOT TESTED: the Terraform provider; no terraform is on the PATH (install it, or name one with TF_ACC_TERRAFORM_PATH)")
	}
}
