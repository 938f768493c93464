package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// copyBuffer is both the size of the buffer a response is copied through and the largest answer of
	// known length that is read whole before its status goes out, so that a node dying in the middle
	// of it is still a retry and not a cut JSON document.
	copyBuffer = 32 << 10
	// pooledBody is the largest request body whose buffer is used again.
	pooledBody = 32 << 10
	// firstBody is what a length that the agent only claims may take before the bytes come.
	firstBody = 256 << 10
)

var errBodyTooLarge = errors.New("gateway: body too large")

// buffers hands out byte slices for bodies; safe for concurrent use.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{pool: sync.Pool{New: func() any {
		b := make([]byte, copyBuffer)
		return &b
	}}}
}

func (b *buffers) get() *[]byte { return b.pool.Get().(*[]byte) }

// put takes a buffer back. nil is one that must not be used again: when a write of HTTP/2 fails, the
// connection may still be reading from it.
func (b *buffers) put(p *[]byte) {
	if p != nil {
		b.pool.Put(p)
	}
}

// readBody reads a request's body of at most limit bytes, and lifts the bound on its time. A small one
// is read into buf and shares its memory.
func readBody(w http.ResponseWriter, r *http.Request, buf []byte, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errBodyTooLarge
	}
	body, err := readAtMost(r.Body, r.ContentLength, buf, limit)
	if err != nil {
		return nil, err
	}
	return body, http.NewResponseController(w).SetReadDeadline(time.Time{})
}

func readAtMost(src io.Reader, length int64, buf []byte, limit int64) ([]byte, error) {
	if length >= int64(len(buf)) {
		buf = make([]byte, min(length+1, firstBody))
	}
	n := 0
	for {
		if n == len(buf) {
			if int64(n) > limit {
				return nil, errBodyTooLarge
			}
			buf = append(buf, make([]byte, min(int64(len(buf)), limit-int64(n)+1))...)
		}
		m, err := src.Read(buf[n:])
		n += m
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if int64(n) > limit {
		return nil, errBodyTooLarge
	}
	return buf[:n:n], nil
}
