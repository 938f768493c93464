package mcp_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/gateway/mcp"
)

// readAll copies every event out of the stream.
func readAll(r io.Reader, limit int) ([]mcp.Event, error) {
	er := mcp.NewEventReader(r, limit)
	var events []mcp.Event
	for {
		e, err := er.Next()
		if err != nil {
			if _, again := er.Next(); !errors.Is(again, err) {
				return events, errors.Join(err, errors.New("not final"))
			}
			return events, err
		}
		e.Data, e.Raw = bytes.Clone(e.Data), bytes.Clone(e.Raw)
		events = append(events, e)
	}
}

func data(s string) mcp.Event { return mcp.Event{Data: []byte(s)} }

func TestEventReader(t *testing.T) {
	comment := func(s string) mcp.Event { return mcp.Event{Comment: true, Data: []byte(s)} }
	for _, tt := range []struct {
		name, stream string
		want         []mcp.Event
		err          error
	}{
		{"empty", "", nil, io.EOF},
		{"one", "data: x\n\n", []mcp.Event{data("x")}, io.EOF},
		{"all fields", "event: message\nid: 7\nretry: 50\ndata: {}\n\n",
			[]mcp.Event{{Name: "message", ID: "7", HasID: true, Retry: "50", Data: []byte("{}")}}, io.EOF},
		{"no blank behind the colon", "event:e\nid:\ndata:x\n\n", []mcp.Event{{Name: "e", HasID: true, Data: []byte("x")}}, io.EOF},
		{"only one blank goes", "data:  x\n\n", []mcp.Event{data(" x")}, io.EOF},
		{"data lines join", "data: a\ndata\ndata: b\n\ndata: c\ndata: d\n\n", []mcp.Event{data("a\n\nb"), data("c\nd")}, io.EOF},
		{"first data line empty", "data\ndata: b\n\n", []mcp.Event{data("\nb")}, io.EOF},
		{"priming event", "id: 1\ndata: \n\n", []mcp.Event{{ID: "1", HasID: true, Data: []byte{}}}, io.EOF},
		{"id only", "id: 1\n\n", []mcp.Event{{ID: "1", HasID: true}}, io.EOF},
		{"CRLF", "id: 1\r\ndata: x\r\n\r\ndata: y\r\n\r\n", []mcp.Event{{ID: "1", HasID: true, Data: []byte("x")}, data("y")}, io.EOF},
		{"CR", "id: 1\rdata: x\r\rdata: y\r\r", []mcp.Event{{ID: "1", HasID: true, Data: []byte("x")}, data("y")}, io.EOF},
		{"comment", ": ping\n\n:\n\ndata: x\n\n", []mcp.Event{comment("ping"), comment(""), data("x")}, io.EOF},
		{"keep-alive is one event", ": ping\r\n\r\n", []mcp.Event{comment("ping")}, io.EOF},
		{"comment without blank line", ": ping\ndata: x\n\n", []mcp.Event{comment("ping"), data("x")}, io.EOF},
		{"comment within an event", "data: x\n: ping\ndata: y\n\n", []mcp.Event{data("x\ny")}, io.EOF},
		{"blank lines", "\n\n\ndata: x\n\n", []mcp.Event{data("x")}, io.EOF},
		{"blank lines only", "\n\n", []mcp.Event{{Comment: true}}, io.EOF},
		{"byte order mark", "\ufeffdata: x\n\n", []mcp.Event{data("x")}, io.EOF},
		{"byte order mark only", "\ufeff", nil, io.EOF},
		{"half a byte order mark", "\xef\xbb", nil, io.ErrUnexpectedEOF},
		{"id with NUL, retry that is none, unknown field", "id: a\x00b\nretry: 1s\nvendor: x\ndata: x\n\n", []mcp.Event{data("x")}, io.EOF},
		{"cut in a line", "data: x\n\ndata: y", []mcp.Event{data("x")}, io.ErrUnexpectedEOF},
		{"cut behind a line", "data: x\n\ndata: y\n", []mcp.Event{data("x")}, io.ErrUnexpectedEOF},
		{"cut behind a CR line", "data: y\r", nil, io.ErrUnexpectedEOF},
		{"cut comment", ": pi", nil, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readAll(strings.NewReader(tt.stream), 1<<10)
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			var raw []byte
			for i := range got {
				raw, got[i].Raw = append(raw, got[i].Raw...), nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if errors.Is(err, io.EOF) && string(raw) != strings.TrimPrefix(tt.stream, "\ufeff") {
				t.Errorf("raw %q", raw)
			}
		})
	}
}

// Where the stream is cut into reads must not matter, except that blank lines may come on their own.
func TestEventReaderByteByByte(t *testing.T) {
	stream := "\ufeff: ping\r\n\r\nid: 1\r\ndata: x\r\ndata: y\r\n\r\ndata: z\r\revent: e\ndata: q\n\n"
	want := []string{`ping`, "x\ny", "z", "q"}
	for name, r := range map[string]io.Reader{
		"one byte":       iotest.OneByteReader(strings.NewReader(stream)),
		"half":           iotest.HalfReader(strings.NewReader(stream)),
		"data and error": iotest.DataErrReader(strings.NewReader(stream)),
	} {
		events, err := readAll(r, 1<<10)
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		var raw []byte
		for _, e := range events {
			raw = append(raw, e.Raw...)
			if e.Data != nil {
				got = append(got, string(e.Data))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if string(raw) != stream[3:] {
			t.Errorf("%s: raw %q", name, raw)
		}
	}
}

// stepReader gives one chunk per read and fails the test when read before the last event was taken.
type stepReader struct{ chunks []string }

func (s *stepReader) Read(p []byte) (int, error) {
	if len(s.chunks) == 0 {
		return 0, errBroken
	}
	n := copy(p, s.chunks[0])
	s.chunks = s.chunks[1:]
	return n, nil
}

var errBroken = errors.New("broken")

// An event is handed on when its last byte is there: nothing waits for what comes after it.
func TestEventReaderHoldsNothingBack(t *testing.T) {
	for _, chunk := range []string{"data: x\n\n", "data: x\r\n\r\n", "data: x\r\r", ": ping\n\n", ": ping\n", ": ping\r", "\n", "\r\n"} {
		src := &stepReader{chunks: []string{chunk, "never"}}
		if _, err := mcp.NewEventReader(src, 1<<10).Next(); err != nil || len(src.chunks) != 1 {
			t.Errorf("%q: error %v, %d chunks left, want 1", chunk, err, len(src.chunks))
		}
	}
}

func TestEventReaderPassesErrorsOn(t *testing.T) {
	events, err := readAll(&stepReader{chunks: []string{"data: x\n\ndata", ": y\n"}}, 1<<10)
	if len(events) != 1 || !errors.Is(err, errBroken) {
		t.Errorf("%d events, error %v", len(events), err)
	}
	if _, err := readAll(stuck{}, 1<<10); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestEventReaderBound(t *testing.T) {
	frame := func(n int) string { return "data: " + strings.Repeat("x", n-8) + "\n\n" }
	for _, limit := range []int{10, 1000, 5000, 100_000} {
		ok := frame(limit)
		events, err := readAll(strings.NewReader(ok+ok+frame(9)), limit)
		if len(events) != 3 || !errors.Is(err, io.EOF) {
			t.Errorf("limit %d: %d events, %v", limit, len(events), err)
		}
		events, err = readAll(strings.NewReader(ok+frame(limit+1)+ok), limit)
		if len(events) != 1 || !errors.Is(err, mcp.ErrEventTooLarge) {
			t.Errorf("beyond limit %d: %d events, %v", limit, len(events), err)
		}
		if _, err = readAll(&endless{frame: []byte("x")}, limit); !errors.Is(err, mcp.ErrEventTooLarge) {
			t.Errorf("no line end, limit %d: %v", limit, err)
		}
	}
}

// A hostile stream of one kind of line end must not cost quadratic time; without lineEnds this takes minutes.
func TestEventReaderManyLines(t *testing.T) {
	for _, end := range []string{"\n", "\r"} {
		stream := strings.Repeat("data:"+end, 700_000) + end
		events, err := readAll(strings.NewReader(stream), len(stream))
		if len(events) != 1 || !errors.Is(err, io.EOF) || len(events[0].Data) != 699_999 {
			t.Errorf("%q: %d events, %v", end, len(events), err)
		}
	}
}

func TestAppendEvent(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   mcp.Event
		want string
	}{
		{"all", mcp.Event{Name: "message", ID: "7", HasID: true, Retry: "5", Data: []byte("{}")}, "event: message\nid: 7\nretry: 5\ndata: {}\n\n"},
		{"lines", data("a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"},
		{"ends with a line end", data("a\n"), "data: a\ndata: \n\n"},
		{"empty data", data(""), "data: \n\n"},
		{"no data", mcp.Event{HasID: true}, "id: \n\n"},
		{"ID without HasID", mcp.Event{ID: "x", Data: []byte("y")}, "data: y\n\n"},
		{"no injection", mcp.Event{Name: "a\ndata: b", ID: "1\r\n\r\n\x00", HasID: true}, "event: adata: b\nid: 1\n\n"},
		{"comment", mcp.Event{Comment: true, Data: []byte("ping\n")}, ": ping\n\n"},
		{"blank line", mcp.Event{Comment: true}, "\n"},
	} {
		if got := string(mcp.AppendEvent([]byte("<"), tt.in)); got != "<"+tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
