package fleet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/testnet"
)

// teller makes the test binary a process that tells its clocks whenever it is asked.
const teller = "QUORATE_TEST_TELL_CLOCKS"

func TestMain(m *testing.M) {
	if os.Getenv(teller) != "" {
		began := time.Now()
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			now := time.Now()
			fmt.Println(now.Unix(), now.Sub(began).Milliseconds())
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// A process gets another wall clock, another again, and its own back; its monotonic clock never notices.
func TestWallClock(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI runs as root, or wall clocks stay untested")
		}
		t.Skip("LOUD: not root, whose another process's memory is, so wall clocks of their own stay untested")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), teller+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	lines := bufio.NewReader(out)
	for _, d := range []time.Duration{0, time.Hour, -time.Hour, 0} {
		halted(t, cmd.Process.Pid, d)
		if _, err := io.WriteString(in, "?\n"); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var wall, mono int64
		if _, err := fmt.Sscan(line, &wall, &mono); err != nil {
			t.Fatal(err)
		}
		off := time.Until(time.Unix(wall, 0))
		if off < d-5*time.Second || off > d+5*time.Second || mono < 0 || mono > 60_000 {
			t.Errorf("put off by %s: wall clock off by %s, %d ms by the monotonic one", d, off, mono)
		}
	}
}

// halted changes a process's clock while it stands still.
func halted(t *testing.T, pid int, d time.Duration) {
	t.Helper()
	err := testnet.Await(5*time.Second, "no thread is reading the clock", func() bool {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
		if err := testnet.Await(time.Second, "it stands still", func() bool { return standsStill(pid) }); err != nil {
			t.Fatal(err)
		}
		err := setWallClock(pid, d)
		if err != nil && !errors.Is(err, errInside) {
			t.Fatal(err)
		}
		return err == nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
