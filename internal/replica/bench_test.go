package replica

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkPut: changes of one gateway of three, each confirmed by one other, from 32 goroutines. p99-ms is how long a
// caller waits.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{256, 1024, 16 << 10} {
		for _, disk := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dB/disk=%v", size, disk), func(b *testing.B) {
				dir := ""
				if disk {
					dir = b.TempDir()
				}
				f := newFleet(b, dir, Plan{Copies: 2, MaxLag: time.Hour}, "a1", "b1", "c1")
				f.ready()
				benchPut(b, f.members["a1"].store, strings.Repeat("x", size))
			})
		}
	}
}

func benchPut(b *testing.B, s *Store, contents string) {
	var mu sync.Mutex
	var took []time.Duration
	var next atomic.Int64
	b.SetParallelism(32 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var own []time.Duration
		for pb.Next() {
			n := next.Add(1)
			began := time.Now()
			if err := s.Put(context.Background(), rec(session(int(n%20_000)), uint64(n), contents), 1); err != nil {
				b.Error(err)
			}
			own = append(own, time.Since(began))
		}
		mu.Lock()
		took = append(took, own...)
		mu.Unlock()
	})
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "puts/s")
}

// BenchmarkRecords: 100,000 records of 1 KiB in one store: what they take in memory and on disk, and how long a restart
// and a comparison with another gateway take.
func BenchmarkRecords(b *testing.B) {
	const n, size = 100_000, 1024
	for b.Loop() {
		dir := b.TempDir()
		before := inUse()
		cfg := Config{Gateway: "a1", Region: "region-a", Dir: dir}
		s, err := Open(cfg)
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		for i := range n {
			k := Key{Session, fmt.Sprintf("q1%061d", i)}
			if err := s.Put(context.Background(), rec(k, 1, strings.Repeat("x", size)), 0); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.FlushLocal(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "write-s")
		b.ReportMetric(float64(inUse()-before)/n-size, "overhead-B/record")
		if info, err := os.Stat(filepath.Join(dir, "replica.db")); err == nil {
			b.ReportMetric(float64(info.Size())/n, "disk-B/record")
		}
		if err := s.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		if s, err = Open(cfg); err != nil || s.Usage().Records != n {
			b.Fatal(err, s.Usage())
		}
		b.ReportMetric(time.Since(began).Seconds(), "restart-s")
		b.ReportMetric(float64(inUse()-before)/n-size, "restarted-overhead-B/record")
		began = time.Now()
		p := newPlacings(places("a1", "b1", "c1"))
		for i := range Slots {
			sumOf(s.shared(p, "b1", i))
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "digest-ms")
		if err := s.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkCatchUp: a gateway that comes to a fleet with 20,000 records that it should hold.
func BenchmarkCatchUp(b *testing.B) {
	for b.Loop() {
		f := newFleet(b, b.TempDir(), Plan{Copies: 2, MaxLag: time.Hour}, "a1", "b1")
		f.ready()
		for i := range 20_000 {
			if err := f.members["a1"].store.Put(context.Background(), rec(session(i), 1, strings.Repeat("x", 1024)), 0); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.members["a1"].store.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		c := f.start("c1", nil)
		within(b, time.Minute, "it has caught up", func() bool { return c.store.Usage().Records == 20_000 && len(c.store.Ready()) == 0 })
		b.ReportMetric(time.Since(began).Seconds(), "catch-up-s")
		for _, m := range f.all() {
			m.stop()
		}
	}
}

// BenchmarkFetch: claims of a gateway of three, each with a promise on the disks of all: one at a time from 32
// goroutines, and 512 at a time.
func BenchmarkFetch(b *testing.B) {
	f := newFleet(b, b.TempDir(), Plan{Copies: 2, MaxLag: time.Hour}, "a1", "b1", "c1")
	f.ready()
	const n = 5120
	keys := make([]Key, 0, n)
	for i := range n {
		keys = append(keys, session(i))
		if err := f.members["a1"].store.Put(context.Background(), rec(session(i), 1, strings.Repeat("x", 1024)), 0); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.members["a1"].store.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	ballot := uint64(0)
	b.Run("one", func(b *testing.B) {
		var next atomic.Int64
		ballot++
		b.SetParallelism(32 / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				i := next.Add(1)
				if _, err := f.members["b1"].store.Fetch(context.Background(), keys[i%n], ballot+uint64(i/n), "a1"); err != nil {
					b.Error(err)
				}
			}
		})
		ballot += uint64(next.Load()/n) + 1
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("512", func(b *testing.B) {
		for i := range b.N {
			ballot++
			if _, err := f.members["b1"].store.FetchAll(context.Background(), keys[i%10*512:][:512], ballot, "a1"); err != nil {
				b.Error(err)
			}
		}
		b.ReportMetric(float64(b.N)*512/b.Elapsed().Seconds(), "records/s")
	})
}
