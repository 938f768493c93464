package session_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

const subscribes = `{"jsonrpc":"2.0","id":5,"method":"resources/subscribe","params":{"uri":"test://r"}}`

// TestCommittedBeforeTheNodeIsTold: where contents are kept before agents are answered, a node makes no change that nobody
// knows of. Where copies are made, which a control shows, it is told first: what is not copied may be lost with its gateway.
func TestCommittedBeforeTheNodeIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		commits    bool
		err        error
		code       string
		told, kept bool
	}{
		"nobody knows":        {true, mcp.NoAuthority(mcp.ReasonMinority, time.Second), "-32070", false, true},
		"no room":             {true, mcp.Overloaded("session_copies", time.Second), "-32073", false, false},
		"control: copies":     {false, mcp.NoAuthority(mcp.ReasonMinority, time.Second), "-32070", true, true},
		"control: it is kept": {true, nil, "", true, true},
	} {
		for _, inJSON := range []bool{true, false} {
			s := &script{json: inJSON}
			f := newFleet(t, 1, nil, s)
			w := f.dial()
			f.keep[0].commits.Store(tc.commits)
			if tc.err != nil {
				f.keep[0].failing.Store(&tc.err)
			}
			_, body := w.post(subscribes)
			if bad := strings.Contains(body, `"id":5,"error":{"code":`+tc.code); bad != (tc.err != nil) {
				t.Errorf("%s: got %q", name, body)
			}
			if told := strings.Contains(strings.Join(s.seen(), "\n"), mcp.MethodSubscribe); told != tc.told {
				t.Errorf("%s: the node saw %q", name, s.seen())
			}
			f.keep[0].failing.Store(nil)
			if _, body := w.post(`{"jsonrpc":"2.0","id":6,"method":"logging/setLevel","params":{"level":"error"}}`); !strings.Contains(body, `"id":6,"result"`) {
				t.Errorf("%s: got %q", name, body)
			}
			if contents, _, _ := f.w.kept(w.id); strings.Contains(contents, "test://r") != tc.kept || !strings.Contains(contents, "setLevel") {
				t.Errorf("%s: kept %s", name, contents)
			}
		}
	}
}

// TestCommittedAndNotMade: what the node refuses is taken back where it is kept, too, before the agent hears of it; what it
// may have made is not. A gateway whose gate has closed meanwhile does not tell it.
func TestCommittedAndNotMade(t *testing.T) {
	plain := func(rw http.ResponseWriter, _ *http.Request, _ string) {
		http.Error(rw, "not for you", http.StatusBadRequest)
	}
	inJSON := func(rw http.ResponseWriter, _ *http.Request, id string) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write([]byte(`{"jsonrpc":"2.0","id":` + id + `,"error":{"code":-32002,"message":"no such resource"}}`))
	}
	inEvents := func(rw http.ResponseWriter, _ *http.Request, id string) {
		rw.Header().Set("Content-Type", "text/event-stream")
		_, _ = rw.Write([]byte(`data: {"jsonrpc":"2.0","id":` + id + `,"error":{"code":-32002,"message":"no such resource"}}` + "\n\n"))
	}
	breaks := func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }
	for name, tc := range map[string]struct {
		node  func(http.ResponseWriter, *http.Request, string)
		meant func(k *keeper)
		says  string
		told  bool
		kept  bool
		later bool // it is taken back after its agent was answered
	}{
		"refused":                 {inJSON, nil, "-32002", true, false, false},
		"refused in events":       {inEvents, nil, "-32002", true, false, false},
		"refused in words":        {plain, nil, "not for you", true, false, false},
		"made, or not":            {breaks, nil, "-32070", true, true, false},
		"refused, and not undone": {inJSON, func(k *keeper) { err := error(mcp.NoAuthority(mcp.ReasonMinority, 0)); k.failing.Store(&err) }, "-32070", true, false, true},
		"cut off, and kept":       {inJSON, func(k *keeper) { k.cutOff.Store(mcp.NoAuthority(mcp.ReasonMinority, time.Second)) }, "-32070", false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{json: true}
			f := newFleet(t, 1, nil, s)
			w := f.dial()
			k, during := f.keep[0], ""
			k.commits.Store(true)
			if tc.meant != nil {
				k.meant = func() { tc.meant(k) }
			}
			s.on = map[string]func(http.ResponseWriter, *http.Request, string){mcp.MethodSubscribe: func(rw http.ResponseWriter, r *http.Request, id string) {
				during, _, _ = f.w.kept(w.id)
				tc.node(rw, r, id)
			}}
			if _, body := w.post(subscribes); !strings.Contains(body, tc.says) {
				t.Errorf("got %q", body)
			}
			if strings.Contains(during, "test://r") != tc.told {
				t.Errorf("when the node was told, kept was %s", during)
			}
			contents, _, _ := f.w.kept(w.id)
			for end := time.Now().Add(5 * time.Second); tc.later && strings.Contains(contents, "test://r") && time.Now().Before(end); contents, _, _ = f.w.kept(w.id) {
				soon(t, time.After(time.Millisecond))
			}
			if strings.Contains(contents, "test://r") != tc.kept {
				t.Errorf("kept is %s", contents)
			}
		})
	}
}
