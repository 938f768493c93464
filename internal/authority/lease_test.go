package authority

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLease(time.Now())
		if l.Allow() {
			t.Error("a new lease is open")
		}
		time.Sleep(time.Second)
		l.Set(l.Now() + 50*time.Millisecond)
		if !l.Allow() {
			t.Error("closed before the deadline")
		}
		time.Sleep(50*time.Millisecond - 1)
		if !l.Allow() {
			t.Error("closed a nanosecond before the deadline")
		}
		time.Sleep(1)
		if l.Allow() {
			t.Error("open at the deadline")
		}
		l.Set(l.Now() + time.Hour)
		l.Set(0)
		if l.Allow() {
			t.Error("open after it was closed")
		}
	})
}

func TestLeaseAllocatesNothing(t *testing.T) {
	l := NewLease(time.Now())
	l.Set(time.Hour)
	if n := testing.AllocsPerRun(1000, func() {
		if !l.Allow() {
			t.Error("closed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLease(b *testing.B) {
	l := NewLease(time.Now())
	l.Set(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if !l.Allow() {
			b.Fatal("closed")
		}
	}
}

func BenchmarkLeaseParallel(b *testing.B) {
	l := NewLease(time.Now())
	l.Set(time.Hour)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !l.Allow() {
				b.Error("closed")
			}
		}
	})
}
