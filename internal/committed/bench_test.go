package committed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// window is how long each figure is measured.
const window = 4 * time.Second

// counted counts entries.
type counted struct {
	Group
	entries *atomic.Int64
}

func (c counted) Propose(ctx context.Context, part string, command []byte) (uint64, []byte, error) {
	c.entries.Add(1)
	return c.Group.Propose(ctx, part, command)
}

// BenchmarkCommit measures changes of sessions through three gateways, each with a voter and a disk, writers spread
// over them; one writer alone is not at the leader. Figures are in docs/performance.md.
func BenchmarkCommit(b *testing.B) {
	for _, trip := range []time.Duration{0, 80 * time.Millisecond} {
		f := newFleet(b, trip/2, "a", "b", "c")
		for _, size := range []int{1 << 10, 4 << 10} {
			for _, writers := range []int{1, 64, 1000} {
				b.Run(fmt.Sprintf("trip=%s/size=%d/writers=%d", trip, size, writers), func(b *testing.B) {
					for b.Loop() {
						f.measure(b, size, writers)
					}
				})
			}
		}
		f.close()
	}
}

// measure has writers change a record each, one change after the other.
func (f *fleet) measure(b *testing.B, size, writers int) {
	b.Helper()
	var entries atomic.Int64
	var clients []*Client
	leader := f.leader().name
	for _, m := range f.all() {
		if writers == 1 && m.name == leader {
			continue
		}
		c, err := New(Config{Part: m.part, Group: counted{m.node, &entries}})
		must(b, err)
		clients = append(clients, c)
	}
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(b.Context(), window)
	defer cancel()
	var all sync.WaitGroup
	took := make([][]time.Duration, writers)
	for w := range writers {
		all.Go(func() {
			took[w] = changing(ctx, clients[w%len(clients)], fmt.Sprintf("%d-%d-%d", size, writers, w), size)
		})
	}
	all.Wait()
	times := slices.Concat(took...)
	slices.Sort(times)
	if len(times) == 0 {
		b.Fatal("no change was committed")
	}
	b.ReportMetric(float64(len(times))/window.Seconds(), "changes/s")
	b.ReportMetric(float64(entries.Load())/window.Seconds(), "entries/s")
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(f.logSize())/(1<<20), "log-MiB")
	b.ReportMetric(0, "ns/op")
}

// version is of all changes of a benchmark: no record goes back.
var version atomic.Uint64

// changing changes a record until the context ends, and returns what each change took.
func changing(ctx context.Context, c *Client, id string, size int) (took []time.Duration) {
	contents := strings.Repeat("x", size)
	for ctx.Err() == nil {
		began := time.Now()
		if err := c.Put(ctx, record(id, 0, version.Add(1), contents)); err == nil {
			took = append(took, time.Since(began))
		}
	}
	return took
}

// logSize returns the bytes of the largest log.
func (f *fleet) logSize() (most int64) {
	for _, name := range f.names {
		if s, err := os.Stat(filepath.Join(f.dir, "store-"+name, "store", "log.db")); err == nil {
			most = max(most, s.Size())
		}
	}
	return most
}
