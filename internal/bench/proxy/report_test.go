package proxy

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// samples makes three rounds of every system and kind; cost is Quorate's µs per request, and jitter
// the factor by which its last round differs.
func samples(cost time.Duration, jitter float64) []Sample {
	var all []Sample
	for round := range 3 {
		for name, per := range map[string]time.Duration{Quorate: cost, ReverseProxy: 100 * time.Microsecond, HAProxy: 30 * time.Microsecond} {
			if name == Quorate && round == 2 {
				per = time.Duration(float64(per) * jitter)
			}
			for _, k := range Kinds {
				slice := Sample{
					System: name, Kind: k, CPU: per * 500, Requests: 500, Elapsed: time.Second / 2,
					p50: []time.Duration{time.Millisecond}, p99: []time.Duration{2 * time.Millisecond},
				}
				all = append(all, Sample{}.with(slice).with(slice))
			}
		}
	}
	return all
}

var lastLine = regexp.MustCompile(`^cpu_us_per_request quorate=\d+\.\d reverseproxy=\d+\.\d haproxy=\d+\.\d ratio_reverseproxy=\d\.\d{3} ratio_haproxy=\d\.\d{3}$`)

func TestReport(t *testing.T) {
	tests := []struct {
		name   string
		cost   time.Duration
		jitter float64
		want   error
		last   string
	}{
		{"good", 110 * time.Microsecond, 1, nil,
			"cpu_us_per_request quorate=110.0 reverseproxy=100.0 haproxy=30.0 ratio_reverseproxy=1.100 ratio_haproxy=3.667"},
		{"on the bar", 115 * time.Microsecond, 1, nil, ""},
		{"above the bar", 116 * time.Microsecond, 1, ErrTooSlow, ""},
		{"rounds agree", 90 * time.Microsecond, 1.14, nil, ""},
		{"rounds do not", 90 * time.Microsecond, 1.16, ErrInvalid, ""},
		{"invalid is not judged", 200 * time.Microsecond, 0.5, ErrInvalid, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := report(&out, samples(tt.cost, tt.jitter))
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			last := lines[len(lines)-1]
			if !lastLine.MatchString(last) || (tt.last != "" && last != tt.last) {
				t.Errorf("last line %q, want %q", last, tt.last)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want float64
	}{{[]float64{1, 2, 9}, 2}, {[]float64{1, 3}, 2}, {[]float64{7}, 7}} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median %v = %v, want %v", tt.in, got, tt.want)
		}
	}
}

// TestCPU: the reading moves with the work done.
func TestCPU(t *testing.T) {
	before, err := cpu(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const work = 100 * time.Millisecond
	for now := before; now < before+work; {
		if now, err = cpu(os.Getpid()); err != nil {
			t.Fatal(err)
		}
		if now < before {
			t.Fatalf("processor time went back from %s to %s", before, now)
		}
	}
	if n, err := resident(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("resident %d bytes, error %v", n, err)
	}
	if _, err := cpu(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a process that is not there: %v", err)
	}
}
