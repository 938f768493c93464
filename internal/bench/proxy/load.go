package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// maxConnections and maxLoad bound one load.
	maxConnections = 1024
	maxLoad        = 10 * time.Minute
	// stalled is how long one answer may take; the upstream answers at once.
	stalled = 10 * time.Second
)

// Load describes one load: each connection sends its next request when the answer has come.
type Load struct {
	Address     string // HOST:PORT
	Kind        Kind
	Connections int           // 1..1024, keep-alive
	For         time.Duration // up to 10 min
}

// Figures are what a load saw. Durations are in nanoseconds in JSON.
type Figures struct {
	Requests int           `json:"requests"`
	Elapsed  time.Duration `json:"elapsed"`
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
}

// Run sends the load. Every answer is compared byte by byte with what the upstream says; the first
// wrong one ends the load with an error.
func (l Load) Run(ctx context.Context) (Figures, error) {
	if l.Connections < 1 || l.Connections > maxConnections || l.For <= 0 || l.For > maxLoad {
		return Figures{}, fmt.Errorf("proxy: load: %d connections for %s: write 1..%d for up to %s",
			l.Connections, l.For, maxConnections, maxLoad)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make([]*line, l.Connections)
	for i := range lines {
		var err error
		if lines[i], err = l.open(ctx, i); err != nil {
			closeAll(lines[:i])
			return Figures{}, err
		}
	}
	defer closeAll(lines)
	start := time.Now()
	errs := make([]error, len(lines))
	var wg sync.WaitGroup
	for i, c := range lines {
		wg.Go(func() {
			if errs[i] = c.run(ctx, start.Add(l.For)); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return figures(lines, time.Since(start)), errors.Join(errs...)
}

func closeAll(lines []*line) {
	for _, c := range lines {
		_ = c.conn.Close()
	}
}

func figures(lines []*line, elapsed time.Duration) Figures {
	var all []time.Duration
	for _, c := range lines {
		all = append(all, c.took...)
	}
	slices.Sort(all)
	f := Figures{Requests: len(all), Elapsed: elapsed}
	if len(all) > 0 {
		f.P50, f.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	return f
}

// line is one connection.
type line struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
	idAt    int
	want    []byte // the whole body
	wantID  int
	kind    []byte // the Content-Type
	got     []byte
	id      int
	took    []time.Duration
}

func (l Load) open(ctx context.Context, i int) (*line, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("proxy: load: %w", err)
	}
	c := &line{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), id: firstID + i*1_000_000, kind: []byte(l.Kind.contentType())}
	c.request, c.idAt = request(l.Address, l.Kind)
	pre, post := l.Kind.wrap()
	before, after := answer()
	c.wantID = len(pre) + len(before)
	c.want = []byte(pre + before + strconv.Itoa(firstID) + after + post)
	c.took = make([]time.Duration, 0, 16<<10)
	return c, nil
}

func (c *line) run(ctx context.Context, until time.Time) error {
	for now := time.Now(); now.Before(until); {
		if ctx.Err() != nil {
			return nil // another connection has failed and says why
		}
		if err := c.one(now); err != nil {
			return fmt.Errorf("proxy: load: %w", err)
		}
		done := time.Now()
		c.took = append(c.took, done.Sub(now))
		now = done
	}
	return nil
}

func (c *line) one(now time.Time) error {
	c.id++
	putID(c.request[c.idAt:], c.id)
	putID(c.want[c.wantID:], c.id)
	if err := c.conn.SetDeadline(now.Add(stalled)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	return c.answer()
}

func putID(b []byte, id int) {
	for i := idDigits - 1; i >= 0; i-- {
		b[i] = byte('0' + id%10)
		id /= 10
	}
}

var errWrong = errors.New("wrong answer")

// answer reads one response and compares it.
func (c *line) answer() error {
	length, err := c.head()
	if err != nil {
		return err
	}
	c.got = c.got[:0]
	if length >= 0 {
		err = c.take(length)
	} else {
		err = c.chunks()
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(c.got, c.want) {
		return fmt.Errorf("%w: body %q, want %q", errWrong, c.got, c.want)
	}
	return nil
}

// head reads the status line and the headers. It returns the body's length, -1 when it is chunked.
func (c *line) head() (length int, err error) {
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("%w: %q", errWrong, status)
	}
	length, typed := -1, false
	for {
		h, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if h = bytes.TrimRight(h, "\r\n"); len(h) == 0 {
			break
		}
		switch name, value, _ := bytes.Cut(h, []byte(": ")); {
		case equalFold(name, "content-length"):
			if length, err = strconv.Atoi(string(value)); err != nil || length > maxBody {
				return 0, fmt.Errorf("%w: %q", errWrong, h)
			}
		case equalFold(name, "content-type"):
			typed = bytes.Equal(value, c.kind)
		}
	}
	if !typed {
		return 0, fmt.Errorf("%w: the content type is not %s", errWrong, c.kind)
	}
	return length, nil
}

func equalFold(b []byte, s string) bool { return len(b) == len(s) && bytes.EqualFold(b, []byte(s)) }

func (c *line) take(n int) error {
	at := len(c.got)
	c.got = slices.Grow(c.got, n)[:at+n]
	_, err := io.ReadFull(c.in, c.got[at:])
	return err
}

func (c *line) chunks() error {
	for {
		size, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(string(bytes.TrimRight(size, "\r\n")), 16, 32)
		if err != nil || n > maxBody {
			return fmt.Errorf("%w: chunk size %q", errWrong, size)
		}
		if err := c.take(int(n)); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}
