package committed

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// sure calls until there is no error: who has just lost its leader may not write for a moment.
func (f *fleet) sure(what string, call func() error) {
	f.t.Helper()
	within(f.t, 20*time.Second, what, func() bool { return call() == nil })
}

// agree waits until all gateways hold the same.
func (f *fleet) agree() {
	f.t.Helper()
	within(f.t, 10*time.Second, "all gateways hold the same", func() bool {
		var want []byte
		for _, m := range f.all() {
			d := m.part.Digest()
			if want == nil {
				want = d
			}
			if !bytes.Equal(d, want) {
				return false
			}
		}
		return true
	})
}

// What is acknowledged at one gateway is seen by the next that looks, survives its writer and every restart.
func TestGateways(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0, "a", "b", "c")
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() { must(t, f.at("a").client.Put(t.Context(), record(fmt.Sprint(i), 0, 1, "one"))) })
	}
	all.Wait()
	for i := range 100 {
		if r, found, err := f.at("bc"[i%2:i%2+1]).client.Look(t.Context(), Key{1, fmt.Sprint(i)}); err != nil || !found || string(r.Contents) != "one" {
			t.Fatalf("%d: %+v, %v, %v", i, r, found, err)
		}
	}
	r, found, err := f.at("b").client.Take(t.Context(), record("7", 50, 0, ""))
	if err != nil || !found || string(r.Contents) != "one" {
		t.Fatal(r, found, err)
	}
	if err := f.at("a").client.Put(t.Context(), record("7", 0, 2, "late")); !errors.Is(err, ErrStale) {
		t.Error(err)
	}
	must(t, f.at("b").client.Put(t.Context(), record("7", 50, 1, "two")))
	must(t, f.at("c").client.Drop(t.Context(), record("8", 0, 2, "")))
	f.agree()
	f.at("a").vanish()
	f.sure("c looks", func() error {
		r, found, err = f.at("c").client.Look(t.Context(), Key{1, "7"})
		return err
	})
	if !found || string(r.Contents) != "two" {
		t.Fatal(r, found)
	}
	f.sure("c changes it", func() error { return f.at("c").client.Put(t.Context(), record("9", 0, 2, "without a")) })
	for _, name := range []string{"b", "c"} {
		f.at(name).vanish()
	}
	for _, name := range f.names {
		f.again(name)
	}
	within(t, 30*time.Second, "a may write", f.at("a").node.Allow)
	for id, want := range map[string]string{"7": "50.1 two", "8": "deleted", "9": "0.2 without a", "10": "0.1 one"} {
		f.sure("a looks", func() error {
			_, _, err := f.at("a").client.Look(t.Context(), Key{1, id})
			return err
		})
		if f.at("a").part.show(id) != want {
			t.Errorf("%s: %s, not %s", id, f.at("a").part.show(id), want)
		}
	}
	f.agree()
}

// A gateway that is cut off refuses in time, and what it was not told is there when it returns.
func TestMinority(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0, "a", "b", "c")
	must(t, f.at("a").client.Put(t.Context(), record("x", 0, 1, "before")))
	f.partition([]string{"a"}, []string{"b", "c"})
	began := time.Now()
	if err := f.at("a").client.Put(t.Context(), record("x", 0, 2, "alone")); !errors.Is(err, ErrNoQuorum) || time.Since(began) > 3*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	if _, _, err := f.at("a").client.Look(t.Context(), Key{1, "x"}); !errors.Is(err, ErrNoQuorum) {
		t.Error(err)
	}
	f.sure("b takes it", func() error {
		_, _, err := f.at("b").client.Take(t.Context(), record("x", 9, 0, ""))
		return err
	})
	f.sure("b changes it", func() error { return f.at("b").client.Put(t.Context(), record("x", 9, 1, "taken")) })
	f.partition()
	within(t, 20*time.Second, "a may write", f.at("a").node.Allow)
	if err := f.at("a").client.Put(t.Context(), record("x", 0, 2, "alone")); !errors.Is(err, ErrStale) {
		t.Error(err)
	}
	f.agree()
	if got := f.at("a").part.show("x"); got != "9.1 taken" {
		t.Error(got)
	}
}
