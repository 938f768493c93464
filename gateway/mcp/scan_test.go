package mcp_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/gateway/mcp"
)

// seen is an envelope with its spans as text.
type seen struct {
	ID, Params, ProgressToken, RequestID, SubscriptionID, Result, Error string
	Rest                                                                mcp.Envelope
}

func see(body []byte, e mcp.Envelope) seen {
	s := seen{ID: string(e.ID.Of(body)), Params: string(e.Params.Of(body)), ProgressToken: string(e.ProgressToken.Of(body)),
		RequestID: string(e.RequestID.Of(body)), SubscriptionID: string(e.SubscriptionID.Of(body)), Result: string(e.Result.Of(body)), Error: string(e.Error.Of(body))}
	e.ID, e.Params, e.ProgressToken, e.RequestID, e.SubscriptionID, e.Result, e.Error = mcp.Span{}, mcp.Span{}, mcp.Span{}, mcp.Span{}, mcp.Span{}, mcp.Span{}, mcp.Span{}
	s.Rest = e
	return s
}

func TestScan(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       seen
	}{
		{"ping", `{"jsonrpc":"2.0","id":1,"method":"ping"}`,
			seen{ID: "1", Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "ping"}}},
		{"members in any order, blanks and escapes",
			" {\r\n\t\"params\" : {\"n\\u0061me\" : \"e\\\"ch\\u006f\"} , \"method\":\"tools\\/call\", \"id\" : \"a\\n\" , \"jsonrpc\":\"2\\u002e0\" } \n",
			seen{ID: `"a\n"`, Params: `{"n\u0061me" : "e\"ch\u006f"}`,
				Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "tools/call", Name: `e"cho`}}},
		{"modern call",
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{"name":"no","_meta":{"progressToken":9}},"requestState":"s",` +
				`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},` +
				`"progressToken":"p","traceparent":"00-1-2-01","dev.quorate/idempotencyKey":"k"}}}`,
			seen{ID: "7", ProgressToken: `"p"`, Params: `{"name":"t","arguments":{"name":"no","_meta":{"progressToken":9}},"requestState":"s",` +
				`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},` +
				`"progressToken":"p","traceparent":"00-1-2-01","dev.quorate/idempotencyKey":"k"}}`,
				Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "tools/call", Name: "t", ProtocolVersion: "2026-07-28", MetaVersion: "2026-07-28",
					HasMetaVersion: true, HasClientCapabilities: true, RequestState: "s", TraceParent: "00-1-2-01", IdempotencyKey: "k", HasKey: true}}},
		{"initialize", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","name":"x"}}`,
			seen{ID: "0", Params: `{"protocolVersion":"2025-11-25","name":"x"}`,
				Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "initialize", ProtocolVersion: "2025-11-25"}}},
		{"resources/read", `{"jsonrpc":"2.0","id":-1e3,"method":"resources/read","params":{"uri":"file:///a","name":"x"}}`,
			seen{ID: "-1e3", Params: `{"uri":"file:///a","name":"x"}`,
				Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "resources/read", Name: "file:///a", URI: "file:///a"}}},
		{"tasks/get", `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t1"}}`,
			seen{ID: "1", Params: `{"taskId":"t1"}`, Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "tasks/get", Name: "t1"}}},
		{"setLevel", `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}`,
			seen{ID: "1", Params: `{"level":"debug"}`, Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "logging/setLevel", Level: "debug"}}},
		{"progress", `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":0.5,"total":1}}`,
			seen{ProgressToken: `"p"`, Params: `{"progressToken":"p","progress":0.5,"total":1}`,
				Rest: mcp.Envelope{Kind: mcp.KindNotification, Method: "notifications/progress", Progress: 0.5}}},
		{"cancelled", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":12,"_meta":{"io.modelcontextprotocol/subscriptionId":3}}}`,
			seen{RequestID: "12", SubscriptionID: "3", Params: `{"requestId":12,"_meta":{"io.modelcontextprotocol/subscriptionId":3}}`,
				Rest: mcp.Envelope{Kind: mcp.KindNotification, Method: "notifications/cancelled"}}},
		{"members of the wrong type are absent",
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":3,"_meta":{"progressToken":{},"io.modelcontextprotocol/protocolVersion":1,"io.modelcontextprotocol/clientCapabilities":true}}}`,
			seen{ID: "1", Params: `{"name":3,"_meta":{"progressToken":{},"io.modelcontextprotocol/protocolVersion":1,"io.modelcontextprotocol/clientCapabilities":true}}`,
				Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "tools/call"}}},
		{"params of another type", `{"jsonrpc":"2.0","id":1,"method":"x","params":[{"name":"a"}]}`,
			seen{ID: "1", Params: `[{"name":"a"}]`, Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "x"}}},
		{"meta of another type", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":null}}`,
			seen{ID: "1", Params: `{"_meta":null}`, Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "x"}}},
		{"unpaired surrogate in the arguments", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\ud800","arguments":{"x":"\ud83d"}}}`,
			seen{ID: "1", Params: `{"name":"a\ud800","arguments":{"x":"\ud83d"}}`, Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "tools/call", Name: "a\ufffd"}}},
		{"duplicates in the arguments are the node's business", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","x":1,"x":2,"arguments":{"b":1,"b":2}}}`,
			seen{ID: "1", Params: `{"name":"a","x":1,"x":2,"arguments":{"b":1,"b":2}}`, Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "tools/call", Name: "a"}}},
		{"a member in another case alone is another member", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"a"}}`,
			seen{ID: "1", Params: `{"Name":"a"}`, Rest: mcp.Envelope{Kind: mcp.KindRequest, Method: "tools/call"}}},
		{"result", `{"jsonrpc":"2.0","id":"x","result":{"resultType":"input_required","requestState":"rs","taskId":"t","TaskId":"u"}}`,
			seen{ID: `"x"`, Result: `{"resultType":"input_required","requestState":"rs","taskId":"t","TaskId":"u"}`,
				Rest: mcp.Envelope{Kind: mcp.KindResponse, HasResult: true, ResultType: "input_required", ResultRequestState: "rs", TaskID: "t"}}},
		{"legacy task result", `{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"t","status":"working"}}}`,
			seen{ID: "1", Result: `{"task":{"taskId":"t","status":"working"}}`, Rest: mcp.Envelope{Kind: mcp.KindResponse, HasResult: true, TaskID: "t"}}},
		{"null result", `{"jsonrpc":"2.0","id":1,"result":null}`,
			seen{ID: "1", Result: "null", Rest: mcp.Envelope{Kind: mcp.KindResponse, HasResult: true}}},
		{"result with a null error", `{"jsonrpc":"2.0","id":1,"result":{},"error":null}`,
			seen{ID: "1", Result: "{}", Rest: mcp.Envelope{Kind: mcp.KindResponse, HasResult: true}}},
		{"error with a null result", `{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-1,"message":""}}`,
			seen{ID: "1", Error: `{"code":-1,"message":""}`, Rest: mcp.Envelope{Kind: mcp.KindResponse, HasError: true}}},
		{"error to nothing known", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no session"}}`,
			seen{Error: `{"code":-32000,"message":"no session"}`, Rest: mcp.Envelope{Kind: mcp.KindResponse, HasError: true}}},
		{"error without id", `{"jsonrpc":"2.0","error":{"code":-32000,"message":"no session"}}`,
			seen{Error: `{"code":-32000,"message":"no session"}`, Rest: mcp.Envelope{Kind: mcp.KindResponse, HasError: true}}},
		{"batch", ` [garbage`, seen{Rest: mcp.Envelope{Kind: mcp.KindBatch}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := []byte(tt.body)
			e, err := mcp.Scan(body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, see(body, e)); diff != "" {
				t.Errorf("envelope (-want +got):\n%s", diff)
			}
			if string(body) != tt.body {
				t.Error("the scan changed the body")
			}
		})
	}
}

func TestScanRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       error
		id         string
	}{
		{"empty", ``, mcp.ErrSyntax, ""},
		{"blanks", " \n", mcp.ErrSyntax, ""},
		{"cut", `{"jsonrpc":"2.0","id":1,"method":"ping"`, mcp.ErrSyntax, ""},
		{"trailing comma", `{"jsonrpc":"2.0","id":1,"method":"ping",}`, mcp.ErrSyntax, ""},
		{"trailing value", `{"jsonrpc":"2.0","id":1,"method":"ping"}{}`, mcp.ErrSyntax, ""},
		{"trailing garbage", `{"jsonrpc":"2.0","id":1,"method":"ping"}]`, mcp.ErrSyntax, ""},
		{"byte order mark", "\ufeff" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`, mcp.ErrSyntax, ""},
		{"invalid UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"\xff\"}", mcp.ErrSyntax, ""},
		{"broken arguments", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"a":tru}}}`, mcp.ErrSyntax, ""},
		{"comment", `{"jsonrpc":"2.0",/**/"id":1,"method":"ping"}`, mcp.ErrSyntax, ""},
		{"not an object", `"ping"`, mcp.ErrNotJSONRPC, ""},
		{"no version", `{"id":1,"method":"ping"}`, mcp.ErrNotJSONRPC, "1"},
		{"version 1", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, mcp.ErrNotJSONRPC, "1"},
		{"version as a number", `{"jsonrpc":2.0,"id":1,"method":"ping"}`, mcp.ErrNotJSONRPC, "1"},
		{"nothing in it", `{"jsonrpc":"2.0","id":1}`, mcp.ErrNotJSONRPC, "1"},
		{"only a null error", `{"jsonrpc":"2.0","id":1,"error":null}`, mcp.ErrNotJSONRPC, "1"},
		{"method is no string", `{"jsonrpc":"2.0","id":1,"method":null}`, mcp.ErrNotJSONRPC, "1"},
		{"request and response", `{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`, mcp.ErrNotJSONRPC, "1"},
		{"result and error", `{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, mcp.ErrNotJSONRPC, "1"},
		{"null id", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, mcp.ErrBadID, ""},
		{"boolean id", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, mcp.ErrBadID, ""},
		{"object id", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, mcp.ErrBadID, ""},
		{"long id", `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", mcp.MaxID) + `","method":"ping"}`, mcp.ErrBadID, ""},
		{"result to nothing", `{"jsonrpc":"2.0","result":{}}`, mcp.ErrBadID, ""},
		{"two methods", `{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}`, mcp.ErrDuplicate, "1"},
		{"two ids", `{"jsonrpc":"2.0","id":1,"method":"tools/list","id":2}`, mcp.ErrDuplicate, ""},
		{"two names", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","name":"charge"}}`, mcp.ErrDuplicate, "1"},
		{"two names, one escaped", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","n\u0061me":"charge"}}`, mcp.ErrDuplicate, "1"},
		{"two names, another case", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","NAME":"charge"}}`, mcp.ErrDuplicate, "1"},
		{"two methods, another case", `{"jsonrpc":"2.0","id":1,"Method":"tools/list","method":"tools/call"}`, mcp.ErrDuplicate, "1"},
		{"two levels, long s and Kelvin sign", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"taskId":"a","ta\u017f\u212aId":"b"}}`, mcp.ErrDuplicate, "1"},
		{"two arguments", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{},"arguments":{}}}`, mcp.ErrDuplicate, "1"},
		{"two params", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{},"params":{"name":"x"}}`, mcp.ErrDuplicate, "1"},
		{"two metas", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{},"_meta":1}}`, mcp.ErrDuplicate, "1"},
		{"two versions", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"a","io.modelcontextprotocol/protocolVersion":"b"}}}`, mcp.ErrDuplicate, "1"},
		{"two task ids", `{"jsonrpc":"2.0","id":1,"result":{"taskId":"a","taskId":"b"}}`, mcp.ErrDuplicate, "1"},
		{"too deep", `{"jsonrpc":"2.0","id":1,"method":"x","params":` + strings.Repeat("[", mcp.MaxDepth) + strings.Repeat("]", mcp.MaxDepth) + `}`, mcp.ErrTooDeep, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := []byte(tt.body)
			e, err := mcp.Scan(body)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if diff := cmp.Diff(seen{ID: tt.id}, see(body, e)); diff != "" {
				t.Errorf("envelope beside the error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScanDepthBound(t *testing.T) {
	deep := func(n int) []byte {
		// Brackets in strings, escaped quotes before them among those, are no nesting.
		return []byte(`{"jsonrpc":"2.0","id":1,"method":"x","params":["\\\"` + strings.Repeat("[", 2*mcp.MaxDepth) + `","\\",` +
			strings.Repeat("[", n-2) + strings.Repeat("]", n-2) + `]}`)
	}
	if _, err := mcp.Scan(deep(mcp.MaxDepth)); err != nil {
		t.Errorf("at the bound: %v", err)
	}
	if _, err := mcp.Scan(deep(mcp.MaxDepth + 1)); !errors.Is(err, mcp.ErrTooDeep) {
		t.Errorf("beyond the bound: %v", err)
	}
}

// A pooled scanner that held a large body, or failed half-way, must scan the next one as a new one does.
func TestScanReuse(t *testing.T) {
	bodies := []string{modernCall, `{"jsonrpc":`, resultMessage,
		strings.Replace(modernCall, "the quick", strings.Repeat("q", 100_000), 1), `[`, `{"a":[{"b":`, legacyCall}
	for range 50 {
		for _, b := range bodies {
			e, err := mcp.Scan([]byte(b))
			if ok := strings.HasSuffix(b, "}") || b == "["; ok != (err == nil) {
				t.Fatalf("%.40s: %v", b, err)
			}
			if strings.Contains(b, "echo") && e.Name != "echo" {
				t.Fatalf("%.40s: name %q", b, e.Name)
			}
		}
	}
}

// Scanners are pooled; a pool that kept bodies would hold megabytes that nobody needs.
func TestScanLetsLargeBodiesGo(t *testing.T) {
	held := func() weak.Pointer[byte] {
		body := []byte(strings.Replace(modernCall, "the quick", strings.Repeat("q", 1<<20), 1))
		if _, err := mcp.Scan(body); err != nil {
			t.Fatal(err)
		}
		return weak.Make(&body[0])
	}()
	runtime.GC() // one collection leaves the pool's scanners alive
	if held.Value() != nil {
		t.Error("a body of a megabyte outlives its scan")
	}
}

func TestScanAllocations(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector makes pools drop at random: allocations are not counted in this run")
		return
	}
	body := []byte(modernCall)
	if n := testing.AllocsPerRun(100, func() { _, _ = mcp.Scan(body) }); n > 2 {
		t.Errorf("%v allocations per scan, want at most the name and one more", n)
	}
}

func TestReplaceSpan(t *testing.T) {
	body := []byte(`{"id":"a","method":"x"}`)
	got := mcp.ReplaceSpan(body, mcp.Span{Start: 6, End: 9}, []byte("12345"))
	if string(got) != `{"id":12345,"method":"x"}` || string(body) != `{"id":"a","method":"x"}` {
		t.Errorf("%s from %s", got, body)
	}
	same := mcp.ReplaceSpan(body, mcp.Span{}, []byte("12345"))
	if string(same) != string(body) || &same[0] == &body[0] {
		t.Errorf("a zero span gave %s", same)
	}
}

func TestScanBatch(t *testing.T) {
	stop := errors.New("enough")
	call := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for _, tt := range []struct {
		name, body string
		fail       int // yield fails at this member, counted from 1
		want       error
		methods    string
	}{
		{"two", ` [` + call + ` , {"jsonrpc":"2.0","method":"notifications/initialized"} ] `, 0, nil, "ping 1 notifications/initialized "},
		{"a response", `[{"jsonrpc":"2.0","id":"q","result":{}}]`, 0, nil, ` "q"`},
		{"empty", `[]`, 0, mcp.ErrBatch, ""},
		{"no array", call, 0, mcp.ErrNotJSONRPC, ""},
		{"cut", `[` + call, 0, mcp.ErrSyntax, "ping 1"},
		{"trailing", `[` + call + `]]`, 0, mcp.ErrSyntax, "ping 1"},
		{"a batch in it", `[` + call + `,[` + call + `]]`, 0, mcp.ErrNotJSONRPC, "ping 1"},
		{"a number in it", `[1]`, 0, mcp.ErrNotJSONRPC, ""},
		{"a duplicate in it", `[` + call + `,{"jsonrpc":"2.0","id":2,"id":3,"method":"x"}]`, 0, mcp.ErrDuplicate, "ping 1"},
		{"yield stops", `[` + call + `,` + call + `]`, 1, stop, "ping 1"},
		{"too many", `[` + strings.Repeat(call+",", mcp.MaxBatch) + call + `]`, 0, mcp.ErrBatch, strings.TrimSpace(strings.Repeat("ping 1 ", mcp.MaxBatch))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			body := []byte(tt.body)
			err := mcp.ScanBatch(body, func(at mcp.Span, e mcp.Envelope) error {
				if m := at.Of(body); m[0] != '{' || m[len(m)-1] != '}' {
					t.Errorf("member is %s", m)
				}
				got = append(got, e.Method, string(e.ID.Of(body)))
				if len(got) == 2*tt.fail {
					return stop
				}
				return nil
			})
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if s := strings.Join(got, " "); s != tt.methods {
				t.Errorf("members %q, want %q", s, tt.methods)
			}
		})
	}
}
