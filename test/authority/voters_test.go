package authority_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/admin"
)

// TestVotersFromOneToThree grows a fleet of one over two voters to three. A majority of two is refused unless three
// are declared.
func TestVotersFromOneToThree(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b, c := f.add("gw-1", "us", "voter"), f.add("gw-2", "eu", "voter"), f.add("gw-3", "ap", "voter")
	f.expect("gw-1")
	f.start(a)
	f.writable(a)
	f.start(b, c)
	f.writable(b, c)
	l := f.begin(2, 1, a, b, c)
	o := f.orders()
	err := o.voters("gw-2", true, 0)
	if err == nil || !strings.Contains(err.Error(), "409") || !strings.Contains(err.Error(), "two voters") {
		t.Errorf("control: a majority rule over two voters: %v", err)
	}
	t.Logf("control: %v", err)
	if s := a.cluster(); s.Rule.Words != "gw-1" {
		t.Errorf("after a refusal: %+v", s.Rule)
	}
	var words []string
	for _, name := range []string{"gw-2", "gw-3"} {
		if err := o.voters(name, true, 3); err != nil {
			t.Fatalf("add %s: %v", name, err)
		}
		words = append(words, a.cluster().Rule.Words)
	}
	f.writable(a, b, c)
	l.end()
	if s := a.seen("gw-3"); s.Role != admin.RoleVoter {
		t.Errorf("gw-3 is %+v", s)
	}
	j := f.hold(l.writes)
	good, refused, failed := count(l.writes)
	t.Logf("N=%d writes (%d done, %d refused, %d unknown), %d effects; rules: gw-1, %s", len(l.writes), good, refused, failed, j.effects, strings.Join(words, ", "))
}

// TestVotersToFiveAndBack changes the voters of a fleet of three to five and back while agents write and a voter
// stands still in between.
func TestVotersToFiveAndBack(t *testing.T) {
	t.Parallel()
	f, a, b, w := three(t, "")
	d, e := f.add("gw-4", "us", "voter"), f.add("gw-5", "eu", "voter")
	d.expected, e.expected = []string{"gw-1", "gw-2", "gw-4"}, []string{"gw-1", "gw-2", "gw-5"}
	f.start(d, e)
	f.writable(d, e)
	l := f.begin(2, 1, a, b, d)
	o := f.orders()
	began := a.cluster().Rule
	for i, step := range []struct {
		name string
		add  bool
		lags *member
	}{{"gw-4", true, nil}, {"gw-5", true, w}, {"gw-5", false, b}, {"gw-4", false, nil}} {
		if step.lags != nil {
			step.lags.signal(syscall.SIGSTOP)
		}
		changed := make(chan error, 1)
		go func() { changed <- o.voters(step.name, step.add, 0) }()
		if step.lags != nil {
			f.pass(2 * time.Second)
			step.lags.signal(syscall.SIGCONT)
		}
		if err := <-changed; err != nil {
			t.Fatalf("step %d, %s: %v", i, step.name, err)
		}
		seen := monotonic()
		f.await(healed, "writes go on", func() bool { return l.good(seen) > 50 })
		t.Logf("step %d: %s", i, a.cluster().Rule.Words)
	}
	l.end()
	if now := a.cluster().Rule; now.Words != began.Words || now.Version < began.Version+4 {
		t.Errorf("the rule was %+v and is %+v", began, now)
	}
	j := f.hold(l.writes)
	good, refused, failed := count(l.writes)
	t.Logf("N=%d writes (%d done, %d refused, %d unknown), %d effects, 4 changes of voters", len(l.writes), good, refused, failed, j.effects)
}
