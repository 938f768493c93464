package retry

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The table of PROTOCOL.md section 5: class × progress × failure. One letter per class, in the order
// once, retry, hedge: n next, u unknown, v unavailable, o overloaded, p pass, a no authority.
// rich: candidates, attempts and budget are left. Then one of them is missing.
func TestLoss(t *testing.T) {
	type row struct {
		progress upstream.Progress
		failure  upstream.Failure
		rich     string
		alone    string // no candidate is left
		tired    string // MaxAttempts made
		broke    string // no budget
	}
	const (
		notSent, sent, responding                           = upstream.NotSent, upstream.Sent, upstream.Responding
		refused, reset, dead, breakerOpen, canceled, broken = upstream.Refused, upstream.Reset, upstream.Dead, upstream.BreakerOpen, upstream.Canceled, upstream.Malformed
	)
	rows := []row{
		{notSent, refused, "nnn", "vvv", "nnn", "nnn"},
		{notSent, reset, "nnn", "vvv", "nnn", "nnn"},
		{notSent, dead, "nnn", "vvv", "nnn", "nnn"},
		{notSent, breakerOpen, "nnn", "ooo", "nnn", "nnn"},
		{notSent, canceled, "ppp", "ppp", "ppp", "ppp"},
		{notSent, broken, "nnn", "vvv", "nnn", "nnn"},
		{sent, refused, "nnn", "vvv", "nnn", "nnn"}, // cannot be, and harmless
		{sent, reset, "unn", "uuv", "uuv", "uuo"},
		{sent, dead, "unn", "uuv", "uuv", "uuo"},
		{sent, breakerOpen, "nnn", "ooo", "nnn", "nnn"},
		{sent, canceled, "ppp", "ppp", "ppp", "ppp"},
		{sent, broken, "unn", "uuv", "uuv", "uuo"},
		{responding, refused, "nnn", "vvv", "nnn", "nnn"},
		{responding, reset, "unn", "uuv", "uuv", "uuo"},
		{responding, dead, "unn", "uuv", "uuv", "uuo"},
		{responding, breakerOpen, "nnn", "ooo", "nnn", "nnn"},
		{responding, canceled, "ppp", "ppp", "ppp", "ppp"},
		{responding, broken, "unn", "uuv", "uuv", "uuo"},
		{notSent, upstream.Closed, "aaa", "aaa", "aaa", "aaa"},
		{notSent, upstream.Fenced, "aaa", "aaa", "aaa", "aaa"},
		{notSent, upstream.Barred, "nnn", "aaa", "nnn", "nnn"},
	}
	for _, r := range rows {
		for _, era := range []mcp.Era{mcp.Legacy, mcp.Modern} { // losing a node is the same in both
			base := In{Era: era, Progress: r.progress, Failure: r.failure, Attempt: 1, MaxAttempts: 3, BudgetOK: true, Candidates: true}
			check(t, "rich", base, r.rich)

			alone := base
			alone.Candidates = false
			check(t, "alone", alone, r.alone)

			tired := base
			tired.Attempt = 3
			check(t, "tired", tired, r.tired)

			broke := base
			broke.BudgetOK = false
			check(t, "broke", broke, r.broke)

			spliced := base
			spliced.Committed, spliced.Splice = true, true
			check(t, "spliced", spliced, r.rich)

			torn := base
			torn.Committed = true
			want := "uuu"
			if r.failure == canceled {
				want = "ppp"
			}
			check(t, "torn", torn, want)
		}
	}
}

// Whole answers: only a lost session and 502, 503, 504 are anything but the agent's own business.
func TestAnswer(t *testing.T) {
	legacy := In{Era: mcp.Legacy, Progress: upstream.Done, Attempt: 1, MaxAttempts: 3, BudgetOK: true, Candidates: true}
	modern := legacy
	modern.Era = mcp.Modern
	with := func(in In, f func(*In)) In { f(&in); return in }
	for _, status := range []int{200, 202, 400, 401, 403, 404, 405, 413, 429, 500, 501} {
		for _, in := range []In{legacy, modern} {
			check(t, "final", with(in, func(in *In) { in.Status = status }), "ppp")
		}
	}
	for _, status := range []int{502, 503, 504} {
		for _, in := range []In{legacy, modern} {
			in.Status = status
			check(t, "gateway status", in, "pnn")
			check(t, "alone", with(in, func(in *In) { in.Candidates = false }), "ppp")
			check(t, "tired", with(in, func(in *In) { in.Attempt = 3 }), "ppp")
			check(t, "broke", with(in, func(in *In) { in.BudgetOK = false }), "ppp")
			check(t, "committed", with(in, func(in *In) { in.Committed = true }), "ppp")
		}
	}
	for _, status := range []int{400, 404} {
		lost := func(in *In) { in.Status, in.SessionLost, in.BudgetOK, in.Attempt = status, true, false, 3 }
		check(t, "session lost", with(legacy, lost), "nnn")
		check(t, "no sessions in the modern era", with(modern, lost), "ppp")
		check(t, "session lost, alone", with(legacy, func(in *In) { lost(in); in.Candidates = false }), "ppp")
	}
}

// A write that an earlier attempt may have carried out stays unknown, however the last one ended.
func TestReached(t *testing.T) {
	in := In{Progress: upstream.NotSent, Failure: upstream.Refused, Attempt: 2, MaxAttempts: 3, Reached: true, BudgetOK: true}
	check(t, "reached", in, "vuv") // once cannot get here: its walk ended at the loss
	in.Candidates = true
	check(t, "reached, candidates left", in, "nnn")
	for _, f := range []upstream.Failure{upstream.Closed, upstream.Fenced} {
		in.Failure = f
		check(t, "reached, then stopped at a gate", in, "uuu")
	}
	in.Failure, in.Candidates = upstream.Barred, false
	check(t, "reached, then stopped at another gateway's gate", in, "uuu")
}

func TestWantsBudget(t *testing.T) {
	loss := In{Class: mcp.Hedge, Progress: upstream.Sent, Failure: upstream.Reset, Attempt: 1, MaxAttempts: 3, Candidates: true}
	for _, tc := range []struct {
		name string
		edit func(*In)
		want bool
	}{
		{"loss of a safe call", func(*In) {}, true},
		{"503 for a safe call", func(in *In) { in.Failure, in.Status = 0, 503 }, true},
		{"loss of a once call", func(in *In) { in.Class = mcp.Once }, false},
		{"nothing sent", func(in *In) { in.Progress = upstream.NotSent }, false},
		{"no candidates", func(in *In) { in.Candidates = false }, false},
		{"no attempts left", func(in *In) { in.Attempt = 3 }, false},
		{"a good answer", func(in *In) { in.Failure, in.Status = 0, 200 }, false},
		{"canceled", func(in *In) { in.Failure = upstream.Canceled }, false},
	} {
		for _, ok := range []bool{false, true} {
			in := loss
			in.BudgetOK = ok
			tc.edit(&in)
			if got := in.WantsBudget(); got != tc.want {
				t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
			}
		}
	}
}

// Over the whole space of inputs: what must never happen.
func TestNever(t *testing.T) {
	n := 0
	every(func(in In) {
		n++
		got := Decide(in)
		sent := in.Status == 0 && !in.untouched() && in.Failure < upstream.Closed
		switch {
		case got > NoAuthority:
			t.Fatalf("%+v: no such action %d", in, got)
		case got == Next && !in.Candidates:
			t.Fatalf("%+v: next without a candidate", in)
		case got == Next && in.Committed && !in.Splice:
			t.Fatalf("%+v: next after a committed answer", in)
		case got == Next && in.Class == mcp.Once && sent:
			t.Fatalf("%+v: a once call goes out twice", in)
		case got == Next && sent && (!in.BudgetOK || in.Attempt >= in.MaxAttempts):
			t.Fatalf("%+v: next beyond budget or attempts", in)
		case got == Pass && in.Status == 0 && in.Failure != upstream.Canceled:
			t.Fatalf("%+v: nothing to pass", in)
		case got == Unavailable && in.Class != mcp.Hedge && sent:
			t.Fatalf("%+v: claims that nothing happened", in)
		case got == NoAuthority && (in.Reached || sent || in.Committed && !in.Splice):
			t.Fatalf("%+v: claims that nothing was done", in)
		}
	})
	t.Logf("%d inputs", n)
}

func every(f func(In)) {
	bools := []bool{false, true}
	for _, era := range []mcp.Era{mcp.Legacy, mcp.Modern} {
		for class := mcp.Once; class <= mcp.Hedge; class++ {
			for progress := upstream.NotSent; progress <= upstream.Responding; progress++ {
				for failure := upstream.Refused; failure <= upstream.Fenced; failure++ {
					for bits := range 64 {
						in := In{Era: era, Class: class, Progress: progress, Failure: failure, Attempt: 1, MaxAttempts: 2}
						in.Committed, in.Splice, in.Reached = bools[bits&1], bools[bits>>1&1], bools[bits>>2&1]
						in.BudgetOK, in.Candidates, in.SessionLost = bools[bits>>3&1], bools[bits>>4&1], bools[bits>>5&1]
						f(in)
						in.Attempt = 2
						f(in)
						for _, status := range []int{200, 404, 503} {
							in := in
							in.Progress, in.Failure, in.Status = upstream.Done, 0, status
							f(in)
						}
					}
				}
			}
		}
	}
}

func check(t *testing.T, name string, in In, want string) {
	t.Helper()
	for class := mcp.Once; class <= mcp.Hedge; class++ {
		in.Class = class
		letter := map[Action]byte{Pass: 'p', Next: 'n', Unknown: 'u', Unavailable: 'v', Overloaded: 'o', NoAuthority: 'a'}[Decide(in)]
		if letter != want[class] {
			t.Errorf("%s: %v %v after %v, status %d: %v, want %q", name, class, in.Failure, in.Progress, in.Status, Decide(in), want[class])
		}
	}
}
