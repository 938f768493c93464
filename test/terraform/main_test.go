// Package terraform_test lets Terraform itself, with the provider inside the test's process or from a mirror, provision
// real fleets of quorate processes. What happened is judged by Terraform's plans and by the fleets' own answers.
package terraform_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/gatewayproc"
)

// binary is the quorate command, built once for all tests of this package, or the one that TEST_BINARY names. terraform
// is the program that TF_ACC_TERRAFORM_PATH names, the PATH's Terraform, or the OpenTofu that tools/opentofu pins; ""
// where there is none.
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
		terraform = pinned()
	}
	if terraform == "" {
		return nil
	}
	// An operator's own settings are no part of the tests, and neither are downloads.
	rc := filepath.Join(dir, "terraformrc")
	if err := os.WriteFile(rc, nil, 0o600); err != nil {
		return err
	}
	host := "registry.terraform.io"
	if strings.HasPrefix(filepath.Base(terraform), "tofu") {
		host = "registry.opentofu.org"
	}
	for name, value := range map[string]string{"TF_ACC": "1", "TF_ACC_TERRAFORM_PATH": terraform, "TF_ACC_PROVIDER_HOST": host, "TF_CLI_CONFIG_FILE": rc, "CHECKPOINT_DISABLE": "1"} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// pinned is the OpenTofu that was built where there is no Terraform, "" for none.
func pinned() string {
	dir, err := exec.CommandContext(context.Background(), "../../scripts/tools-dir", "opentofu").Output()
	if err != nil {
		return ""
	}
	program := filepath.Join(strings.TrimSpace(string(dir)), "tofu")
	if _, err := os.Stat(program); err != nil {
		return ""
	}
	return program
}

// needsTerraform skips a test where there is no Terraform, loudly; in CI that is a failure.
func needsTerraform(t *testing.T) {
	t.Helper()
	switch {
	case terraform != "":
	case os.Getenv("CI") == "true":
		t.Fatal("no terraform is on the PATH, TF_ACC_TERRAFORM_PATH names none, and no tofu was built: nothing of the provider would be tested")
	default:
		t.Skip("!!!! NOT TESTED: the Terraform provider; no terraform is on the PATH (install it, name one with TF_ACC_TERRAFORM_PATH, or build OpenTofu with scripts/install-tools tofu)")
	}
}
