package mcp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/quorate/quorate/gateway/mcp"
)

func FuzzScan(f *testing.F) {
	for _, s := range []string{modernCall, legacyCall, resultMessage, `[` + legacyCall + `,` + resultMessage + `]`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1e400}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"\ud800"}}`,
		`{"jsonrpc":"2.0","i\u0064":"a\"b","method":"resources/read","params":{"uri":"a","URI":"b"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"t"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":-0.5e-3}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		e, err := mcp.Scan(body)
		if !bytes.Equal(before, body) {
			t.Fatal("the scan changed the body")
		}
		if e.Kind == mcp.KindBatch {
			checkBatch(t, body)
			return
		}
		checkSpans(t, body, e)
		checkAgainstStdlib(t, body, e, err)
		if err == nil {
			checkReplace(t, body, e)
		}
	})
}

func spansOf(e mcp.Envelope) []mcp.Span {
	return []mcp.Span{e.ID, e.Params, e.ProgressToken, e.RequestID, e.SubscriptionID, e.Result}
}

func checkSpans(t *testing.T, body []byte, e mcp.Envelope) {
	for _, s := range spansOf(e) {
		if !s.IsZero() && (s.Start <= 0 || s.Start >= s.End || s.End > len(body)) {
			t.Fatalf("span %v in %d bytes", s, len(body))
		}
		if v := s.Of(body); v != nil && !json.Valid(v) {
			t.Fatalf("span holds %q", v)
		}
	}
}

// checkReplace: putting another id in keeps the message, and changes nothing but the id.
func checkReplace(t *testing.T, body []byte, e mcp.Envelope) {
	for _, s := range spansOf(e) {
		if out := mcp.ReplaceSpan(body, s, []byte(`"new"`)); !json.Valid(out) {
			t.Fatalf("replacing %v gave %q", s, out)
		}
	}
	if e.ID.IsZero() {
		return
	}
	out := mcp.ReplaceSpan(body, e.ID, []byte(`"new"`))
	again, err := mcp.Scan(out)
	if err != nil || string(again.ID.Of(out)) != `"new"` || again.Method != e.Method || again.Name != e.Name || again.Kind != e.Kind {
		t.Fatalf("another id gave %+v, %v from %+v", again, err, e)
	}
}

// checkAgainstStdlib: what encoding/json accepts and reads, the scan accepts and reads the same.
func checkAgainstStdlib(t *testing.T, body []byte, e mcp.Envelope, err error) {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		if err == nil {
			t.Fatalf("accepted what encoding/json does not: %q", body)
		}
		return
	}
	if errors.Is(err, mcp.ErrSyntax) && strings.ToValidUTF8(string(body), "") == string(body) {
		t.Fatalf("refused as malformed: %v", err)
	}
	if err != nil || !noDuplicates(body) {
		return
	}
	var method string
	if top["method"] != nil {
		if json.Unmarshal(top["method"], &method) != nil {
			t.Fatal("the method is no string")
		}
	}
	if method != e.Method {
		t.Fatalf("method %q, encoding/json reads %q", e.Method, method)
	}
	id := top["id"]
	if string(id) == "null" {
		id = nil
	}
	if got := e.ID.Of(body); !bytes.Equal(got, id) {
		t.Fatalf("id %s, encoding/json reads %s", got, id)
	}
	checkName(t, top["params"], e)
}

// checkName: Go's decoder, which does not mind case, reads the name that the gateway routed by.
func checkName(t *testing.T, params json.RawMessage, e mcp.Envelope) {
	var p struct {
		Name any `json:"name"`
		URI  any `json:"uri"`
	}
	if json.Unmarshal(params, &p) != nil {
		return
	}
	read := map[string]any{"name": p.Name, "uri": p.URI}[mcp.NameParam(e.Method)]
	if name, ok := read.(string); ok && e.Name != "" && e.Name != name {
		t.Fatalf("name %q, encoding/json reads %q", e.Name, name)
	}
}

func noDuplicates(body []byte) bool {
	return jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true))
}

// checkBatch: the members are those that encoding/json finds, and scan alone as they do in the batch.
func checkBatch(t *testing.T, body []byte) {
	var members []json.RawMessage
	valid := json.Unmarshal(body, &members) == nil
	n := 0
	err := mcp.ScanBatch(body, func(at mcp.Span, e mcp.Envelope) error {
		checkSpans(t, body, e)
		m := at.Of(body)
		alone, err := mcp.Scan(m)
		if err != nil || alone.Method != e.Method || !bytes.Equal(alone.ID.Of(m), e.ID.Of(body)) || alone.Kind != e.Kind {
			t.Fatalf("member %s is %+v in the batch, %+v, %v alone", m, e, alone, err)
		}
		if valid && !bytes.Equal(members[n], m) {
			t.Fatalf("member %d is %s, encoding/json reads %s", n, m, members[n])
		}
		n++
		return nil
	})
	if err == nil && (!valid || n != len(members)) {
		t.Fatalf("%d members of %q, encoding/json reads %d", n, body, len(members))
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add("2026-07-28", "tools/call", "=?base64?Y2Fmw6k=?=", "café", "s", "")
	f.Add("", "", " a\t", "", "", "x")
	f.Add("2025-11-25", "ping", "=?base64?=", "=?base64?x?=", "", "")
	f.Fuzz(func(t *testing.T, version, method, name, plain, session, second string) {
		h := http.Header{}
		h.Set(mcp.HeaderVersion, version)
		h.Set(mcp.HeaderMethod, method)
		h.Set(mcp.HeaderName, name)
		h.Set(mcp.HeaderSession, session)
		if second != "" {
			h.Add(mcp.HeaderMethod, second)
		}
		got := mcp.ReadHeaders(h)
		if len(got.Name) > mcp.MaxHeaderName || len(got.Method) > mcp.MaxHeader || len(got.Session) > mcp.MaxHeader {
			t.Fatalf("unbounded: %+v", got)
		}
		if second != "" && second != method && got.Bad == "" {
			t.Fatal("two values were believed")
		}
		// A client that encodes what the body says is believed.
		encoded := mcp.EncodeHeaderValue(plain)
		if back, ok := mcp.DecodeHeaderValue(encoded); !ok || back != plain {
			t.Fatalf("%q went out as %q and came back as %q, %v", plain, encoded, back, ok)
		}
		for i := range len(encoded) {
			if encoded[i] < 0x20 || encoded[i] > 0x7e {
				t.Fatalf("%q is no safe header value", encoded)
			}
		}
		// Whatever the headers are, a refusal is one of the two codes, and a mismatch is never passed.
		e := mcp.Envelope{Kind: mcp.KindRequest, Method: mcp.MethodToolsCall, Name: plain}
		err := mcp.Validate(got, e)
		if err != nil && err.Code != mcp.CodeHeaderMismatch && err.Code != mcp.CodeInvalidParams {
			t.Fatal(err)
		}
		if err == nil && mcp.EraOf(got.Version) == mcp.Modern {
			t.Fatal("a modern request without _meta passed")
		}
		e.MetaVersion, e.HasMetaVersion, e.HasClientCapabilities = got.Version, got.Version != "", true
		if err := mcp.Validate(got, e); err == nil && mcp.EraOf(got.Version) == mcp.Modern && (got.Method != e.Method || got.Name != e.Name) {
			t.Fatalf("%+v passed for %+v", got, e)
		}
	})
}

func FuzzSSE(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbfid: 1\r\nevent: message\r\ndata: {}\r\n\r\n: ping\n\ndata: a\ndata: b\n\n"), 64, 3)
	f.Add([]byte("data: x\r\rdata\r\r:\r\r\n\n\nretry: 10\n\n"), 16, 1)
	f.Add([]byte("data: cut"), 4, 2)
	f.Fuzz(func(t *testing.T, stream []byte, limit, chunk int) {
		limit, chunk = 1+abs(limit)%4096, 1+abs(chunk)%64
		whole, wholeErr := readAll(bytes.NewReader(stream), limit)
		parts, partsErr := readAll(&chunks{stream, chunk}, limit)
		single, _ := readAll(iotest.OneByteReader(bytes.NewReader(stream)), limit)
		checkRaw(t, stream, whole, wholeErr, limit)
		checkRaw(t, stream, parts, partsErr, limit)
		// Blank lines may be cut off or drawn in differently, and count against the bound then.
		if !errors.Is(wholeErr, mcp.ErrEventTooLarge) && !errors.Is(partsErr, mcp.ErrEventTooLarge) {
			sameEvents(t, whole, parts)
			sameEvents(t, whole, single)
		}
		roundTrip(t, whole)
	})
}

func abs(n int) int {
	return int(uint(n) & 0xffff)
}

type chunks struct {
	rest []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func checkRaw(t *testing.T, stream []byte, events []mcp.Event, err error, limit int) {
	var raw []byte
	for _, e := range events {
		if len(e.Raw) == 0 || len(e.Raw) > limit {
			t.Fatalf("event of %d bytes, limit %d", len(e.Raw), limit)
		}
		raw = append(raw, e.Raw...)
	}
	stream = bytes.TrimPrefix(stream, []byte("\ufeff"))
	if !bytes.HasPrefix(stream, raw) || (errors.Is(err, io.EOF) && len(raw) != len(stream)) {
		t.Fatalf("%q came out as %q, %v", stream, raw, err)
	}
}

// content drops blank lines and Raw, which depend on how reads fell.
func content(events []mcp.Event) []mcp.Event {
	var out []mcp.Event
	for _, e := range events {
		e.Raw = nil
		if !e.Comment || e.Data != nil {
			out = append(out, e)
		}
	}
	return out
}

func sameEvents(t *testing.T, a, b []mcp.Event) {
	a, b = content(a), content(b)
	if len(a) != len(b) {
		t.Fatalf("%d and %d events", len(a), len(b))
	}
	for i := range a {
		if !sameEvent(a[i], b[i]) {
			t.Fatalf("%+v and %+v", a[i], b[i])
		}
	}
}

func sameEvent(a, b mcp.Event) bool {
	return a.ID == b.ID && a.HasID == b.HasID && a.Name == b.Name && a.Retry == b.Retry && a.Comment == b.Comment &&
		bytes.Equal(a.Data, b.Data) && (a.Data == nil) == (b.Data == nil)
}

// roundTrip: what AppendEvent frames, the reader reads back.
func roundTrip(t *testing.T, events []mcp.Event) {
	var framed []byte
	var want []mcp.Event
	for _, e := range content(events) {
		if e.Comment {
			e.Data = bytes.ReplaceAll(e.Data, []byte{0}, nil)
		}
		e.Name = strings.ReplaceAll(e.Name, "\x00", "")
		framed = mcp.AppendEvent(framed, e)
		if e.Comment || e.HasID || e.Name != "" || e.Retry != "" || e.Data != nil {
			want = append(want, e)
		}
	}
	got, err := readAll(bytes.NewReader(framed), 1<<20)
	if !errors.Is(err, io.EOF) {
		t.Fatalf("reading %q back: %v", framed, err)
	}
	sameEvents(t, want, got)
}
