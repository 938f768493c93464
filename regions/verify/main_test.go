package verify

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childEnv makes this test binary an HTTP server that a test can stop with a signal.
const childEnv = "VERIFY_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		serveAsChild()
		return
	}
	goleak.VerifyTestMain(m)
}

func serveAsChild() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(ln.Addr())
	err = http.Serve(ln, http.NotFoundHandler())
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
