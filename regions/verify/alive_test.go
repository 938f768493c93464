package verify

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func aliveWithin(t *testing.T, url string, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return Alive(ctx, AliveClient(nil), url)
}

func TestAliveTakesAnyAnswer(t *testing.T) {
	server := func(*http.Request) *mcp.Server { return newServer() }
	handlers := map[string]http.Handler{
		"go-sdk stateful":  mcp.NewStreamableHTTPHandler(server, nil),
		"go-sdk stateless": mcp.NewStreamableHTTPHandler(server, &mcp.StreamableHTTPOptions{Stateless: true}),
		"500":              status(http.StatusInternalServerError),
		"401":              status(http.StatusUnauthorized),
		"redirect":         http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound),
		"a body that does not end": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}),
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			ts := httptest.NewServer(h)
			defer ts.Close()
			if err := aliveWithin(t, ts.URL+"/mcp", 20*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}

// A call that fills the node must not make it look dead, and the probe must not wait behind it.
func TestAliveUsesItsOwnConnection(t *testing.T) {
	var conns atomic.Int32
	ts := httptest.NewUnstartedServer(status(http.StatusNoContent))
	ts.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	ts.Start()
	defer ts.Close()
	client := AliveClient(nil)
	for range 3 {
		if err := Alive(t.Context(), client, ts.URL); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n != 3 {
		t.Errorf("3 probes used %d connections", n)
	}
}

func TestAliveFindsTheSilent(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	err = aliveWithin(t, "http://"+silent.Addr().String()+"/mcp?key=hidden", 100*time.Millisecond)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	if err != nil && strings.Contains(err.Error(), "hidden") {
		t.Errorf("the error shows the query: %v", err)
	}
}

func TestAliveFindsTheRefusing(t *testing.T) {
	ts := httptest.NewServer(status(http.StatusOK))
	ts.Close()
	if err := aliveWithin(t, ts.URL, 20*time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want connection refused", err)
	}
}

func TestAliveRefusesWhatIsNotHTTP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		_, _ = c.Write([]byte("SSH-2.0-OpenSSH_10\r\n\r\n"))
	}()
	if err := aliveWithin(t, "http://"+ln.Addr().String(), 20*time.Second); err == nil {
		t.Error("a greeting of another protocol counts as alive")
	}
}

func TestAliveFindsTheStoppedProcess(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + strings.TrimSpace(addr) + "/mcp"

	if err := aliveWithin(t, url, 20*time.Second); err != nil {
		t.Fatalf("running: %v", err)
	}
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var ws syscall.WaitStatus // the signal is only queued; wait until the process has stopped
	if _, err := syscall.Wait4(child.Process.Pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatalf("wait: %v, %v", ws, err)
	}
	if err := aliveWithin(t, url, 400*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stopped: got %v, want a deadline", err)
	}
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := aliveWithin(t, url, 20*time.Second); err != nil {
		t.Errorf("continued: %v", err)
	}
}

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}
