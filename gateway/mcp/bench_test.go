package mcp_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
)

// modernCall is a tools/call of about 300 bytes, as go-sdk clients send it.
const modernCall = `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"_meta":{` +
	`"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
	`"io.modelcontextprotocol/clientInfo":{"name":"agent","version":"1"},` +
	`"io.modelcontextprotocol/clientCapabilities":{}},` +
	`"name":"echo","arguments":{"text":"the quick brown fox","count":3}}}`

const legacyCall = `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"_meta":{"progressToken":4},` +
	`"name":"echo","arguments":{"text":"the quick brown fox","count":3}}}`

const resultMessage = `{"jsonrpc":"2.0","id":17,"result":{"resultType":"complete",` +
	`"content":[{"type":"text","text":"the quick brown fox jumps over the lazy dog, and over it again, and then rests"}],` +
	`"structuredContent":{"count":3,"items":["a","b","c"]}}}`

func BenchmarkScan(b *testing.B) {
	large := strings.Replace(modernCall, "the quick", strings.Repeat("the quick ", 20_000), 1)
	for _, bb := range []struct{ name, body string }{
		{"modern", modernCall}, {"legacy", legacyCall}, {"result", resultMessage}, {"200KB", large},
	} {
		b.Run(bb.name, func(b *testing.B) {
			body := []byte(bb.body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := mcp.Scan(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHeadersAndValidate(b *testing.B) {
	e, err := mcp.Scan([]byte(modernCall))
	if err != nil {
		b.Fatal(err)
	}
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	h.Set(mcp.HeaderVersion, mcp.Version20260728)
	h.Set(mcp.HeaderMethod, mcp.MethodToolsCall)
	h.Set(mcp.HeaderName, "echo")
	b.ReportAllocs()
	for b.Loop() {
		if err := mcp.Validate(mcp.ReadHeaders(h), e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEventReader(b *testing.B) {
	for _, size := range []int{200, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			frame := mcp.AppendEvent(nil, mcp.Event{Name: "message", Data: bytes.Repeat([]byte("x"), size)})
			r := mcp.NewEventReader(&endless{frame: frame}, 1<<20)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// endless repeats one frame, one frame at most per read.
type endless struct {
	frame []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.frame[e.at:])
	e.at = (e.at + n) % len(e.frame)
	return n, nil
}

func BenchmarkAppendEvent(b *testing.B) {
	e := mcp.Event{Name: "message", ID: "42", HasID: true, Data: []byte(resultMessage)}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = mcp.AppendEvent(dst[:0], e)
	}
	_, _ = io.Discard.Write(dst)
}
