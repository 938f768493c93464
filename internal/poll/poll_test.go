package poll

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tried is a test whose end is seen.
type tried struct{ said string }

func (*tried) Helper() {}

func (t *tried) Fatal(args ...any) { t.said = fmt.Sprint(args...) }

// after holds from so long after the call on.
func after(d time.Duration) func() bool {
	began := time.Now()
	return func() bool { return time.Since(began) >= d }
}

func TestTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in tried
		if took := True(&in, 10*time.Millisecond, time.Second, "at once", after(0)); took != 0 || in.said != "" {
			t.Errorf("what holds takes %s: %q", took, in.said)
		}
		if took := True(&in, 10*time.Millisecond, time.Second, "soon", after(25*time.Millisecond)); took != 30*time.Millisecond || in.said != "" {
			t.Errorf("%s: %q", took, in.said)
		}
		if took := True(&in, 10*time.Millisecond, time.Second, "the end", after(time.Hour)); took != time.Second || !strings.Contains(in.said, "1s: the end") {
			t.Errorf("%s: %q", took, in.said)
		}
	})
}

func TestNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in tried
		soon, asked := after(25*time.Millisecond), 0
		no := func() error {
			if asked++; soon() {
				return nil
			}
			return fmt.Errorf("no %d", asked)
		}
		if Nil(&in, 10*time.Millisecond, time.Second, no); in.said != "" || asked != 4 {
			t.Errorf("asked %d times: %q", asked, in.said)
		}
		if Nil(&in, 10*time.Millisecond, time.Second, func() error { return errors.New("never") }); !strings.Contains(in.said, "never") {
			t.Errorf("%q", in.said)
		}
	})
}
