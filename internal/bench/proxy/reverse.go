package proxy

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// copyBuffer is the size of a response's copy buffer, that of ReverseProxy itself.
const copyBuffer = 32 << 10

// NewReverseProxy returns the baseline: httputil.ReverseProxy as a careful user sets it up. Its idle
// connections suffice for the load, copy buffers are pooled, nothing is logged, no header is added.
// FlushInterval is left alone: ReverseProxy flushes event streams at once by itself, and a flush of
// every JSON answer would only slow the baseline down.
func NewReverseProxy(upstream *url.URL, connections int) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: upstream.Scheme, Host: upstream.Host})
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{}).DialContext,
			MaxIdleConns:        0,
			MaxIdleConnsPerHost: 2 * connections,
			DisableCompression:  true,
		},
		BufferPool: &bufferPool{sync.Pool{New: func() any { return new([copyBuffer]byte) }}},
		ErrorLog:   log.New(io.Discard, "", 0),
	}
}

type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() []byte  { return p.pool.Get().(*[copyBuffer]byte)[:] }
func (p *bufferPool) Put(b []byte) { p.pool.Put((*[copyBuffer]byte)(b)) }
