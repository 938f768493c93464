package session

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

func fill3(t *testing.T, b *buffer, from, n int) {
	t.Helper()
	for i := range n {
		if err := b.append(t.Context(), func(uint64) []byte { return []byte(strconv.Itoa(from + i)) }); err != nil {
			t.Fatal(err)
		}
	}
}

func drainAll(b *buffer, rd *reader) (got []string, at place) {
	for {
		frame, at := b.take(rd)
		if at != ready {
			return got, at
		}
		got = append(got, string(frame))
	}
}

func TestBufferDropsTheOldestWithoutAReader(t *testing.T) {
	b := newBuffer(bounds{events: 3, bytes: 1 << 10})
	fill3(t, &b, 0, 5)
	if _, ok := b.attach(1); ok {
		t.Error("attached to a frame that is gone")
	}
	if _, ok := b.attach(6); ok {
		t.Error("attached to the future")
	}
	rd, ok := b.attach(2)
	if !ok {
		t.Fatal("not attached")
	}
	if got, at := drainAll(&b, rd); fmt.Sprint(got) != "[2 3 4]" || at != waiting {
		t.Errorf("got %v, %v", got, at)
	}
	b.end()
	if _, at := b.take(rd); at != over {
		t.Error("the reader stays behind the end")
	}
}

func TestBufferIsBoundedInBytes(t *testing.T) {
	b := newBuffer(bounds{events: 100, bytes: 10})
	for range 20 {
		_ = b.append(t.Context(), func(uint64) []byte { return make([]byte, 6) })
	}
	if events, bytes := b.size(); events != 2 || bytes != 12 { // the bound, and the frame that crossed it
		t.Errorf("%d frames, %d bytes", events, bytes)
	}
}

func TestSlowReaderHoldsThePumpAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuffer(bounds{events: 2, bytes: 1 << 10})
		rd := b.attachEnd()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		appended := 0
		go func() {
			for i := range 10 {
				if b.append(ctx, func(uint64) []byte { return []byte(strconv.Itoa(i)) }) != nil {
					return
				}
				appended++
			}
			b.end()
		}()
		synctest.Wait()
		if appended != 2 {
			t.Fatalf("%d frames went in", appended)
		}
		var got []string
		for {
			more, at := drainAll(&b, rd)
			got = append(got, more...)
			if at == over {
				break
			}
			<-rd.wake
		}
		if fmt.Sprint(got) != "[0 1 2 3 4 5 6 7 8 9]" {
			t.Errorf("got %v", got)
		}
	})
}

func TestPumpGoesOnWhenTheReaderLeaves(t *testing.T) {
	for name, leave := range map[string]func(*buffer, *reader){
		"detached": func(b *buffer, rd *reader) { b.detach(rd) },
		"replaced": func(b *buffer, _ *reader) { b.attachEnd() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBuffer(bounds{events: 1, bytes: 1 << 10})
				rd := b.attachEnd()
				fill3(t, &b, 0, 1)
				done := make(chan struct{})
				go func() {
					fill3(t, &b, 1, 1)
					close(done)
				}()
				synctest.Wait()
				leave(&b, rd)
				<-done
				if _, at := b.take(rd); name == "replaced" && at != over {
					t.Error("a replaced reader goes on")
				}
			})
		})
	}
}

func TestPumpThatMayNotWaitAnyMore(t *testing.T) {
	b := newBuffer(bounds{events: 1, bytes: 1 << 10})
	rd := b.attachEnd()
	fill3(t, &b, 0, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if b.append(ctx, func(uint64) []byte { return nil }) == nil {
		t.Error("appended over an unread frame")
	}
	b.appendNow([]byte("last"))
	if got, _ := drainAll(&b, rd); fmt.Sprint(got) != "[0 last]" {
		t.Errorf("got %v", got)
	}
}

func TestCommentsAreForLiveReadersOnly(t *testing.T) {
	b := newBuffer(bounds{events: 4, bytes: 1 << 10})
	b.note([]byte(": nobody\n\n"))
	rd := b.attachEnd()
	fill3(t, &b, 0, 1)
	b.note([]byte(": alive\n\n"))
	if got, _ := drainAll(&b, rd); fmt.Sprintf("%q", got) != `["0" ": alive\n\n"]` {
		t.Errorf("got %q", got)
	}
}

func TestEndedStreamsAreForgotten(t *testing.T) {
	s := streams{hash: "h", limit: bounds{events: 10, bytes: 1 << 10}}
	now := time.Now()
	for range maxEnded + 5 {
		s.close(s.open(nil), now)
	}
	if len(s.byNum) != maxEnded {
		t.Errorf("%d streams are kept", len(s.byNum))
	}
	s.sweep(now.Add(keepEnded + 1))
	if len(s.byNum) != 0 {
		t.Errorf("%d streams are kept after %v", len(s.byNum), keepEnded)
	}
	// Together they hold what one may, and the newest in any case.
	for range 4 {
		st := s.open(nil)
		_ = st.append(t.Context(), func(uint64) []byte { return make([]byte, 700) })
		s.close(st, now)
	}
	if len(s.byNum) != 2 {
		t.Errorf("%d large streams are kept", len(s.byNum))
	}
}

func TestParseEventID(t *testing.T) {
	for id, want := range map[string]bool{
		"h-1-2": true, "h-0-0": true, "h-1": false, "h-1-2-3": false, "h--2": false, "h-1-": false,
		"g-1-2": false, "": false, "h-1-18446744073709551616": false, "1_2": false, "h--1-2": false,
	} {
		if _, ok := parseEventID("h", id); ok != want {
			t.Errorf("%q: %v", id, ok)
		}
	}
}

func TestMint(t *testing.T) {
	a, b := mint(), mint()
	if len(a) != 32 || a == b || Hash(a) == Hash(b) || len(Hash(a)) != 12 {
		t.Errorf("%q (%s), %q (%s)", a, Hash(a), b, Hash(b))
	}
}

// TestNobodyEntersWhatWasGivenAway: not even who had looked it up just before.
func TestNobodyEntersWhatWasGivenAway(t *testing.T) {
	s := &session{m: &Manager{}, ctx: t.Context()}
	if !s.enter(nil) || s.release() {
		t.Fatal("given away while somebody is in it")
	}
	s.exit()
	if !s.release() || s.enter(nil) || s.enter(nil) || !s.release() {
		t.Error("entered after it was given away")
	}
}

// TestAskedWithoutEnd: a node may ask as often as it likes in one call, and as much; what is kept of it is bounded.
func TestAskedWithoutEnd(t *testing.T) {
	var a asks
	c := &call{}
	for i := range 3 * maxAsks {
		body := []byte(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i))
		env, err := mcp.Scan(body)
		if err != nil {
			t.Fatal(err)
		}
		a.add(nil, c, env, body)
	}
	if len(c.asks) > maxAsks || len(a.open) > maxAsks {
		t.Errorf("%d kept of the call, %d open", len(c.asks), len(a.open))
	}
	a.close(c)
	if len(a.open) != 0 {
		t.Errorf("%d open when the call is over", len(a.open))
	}
}
