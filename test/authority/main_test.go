// Package authority_test forms real fleets on loopback: quorate processes with certificates, disks and strategies, in
// front of nodes that keep a journal and check fences, while agents write and processes are stopped, killed and
// started again. What happened is judged by journals and answers.
package authority_test

import (
	"os"
	"testing"

	"github.com/quorate/quorate/internal/gatewayproc"
)

// binary is the quorate command, built once for all tests of this package, or the one that TEST_BINARY names.
var binary string

// TestMain makes the test binary a strategy that breaks the contract, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == pluginWord {
		behave(os.Args[2])
		return
	}
	os.Exit(gatewayproc.Tests{M: m, Binary: &binary, Given: os.Getenv("TEST_BINARY")}.Run())
}
