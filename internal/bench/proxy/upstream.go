package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// maxBody bounds what the upstream reads of a request, in bytes.
const maxBody = 64 << 10

// Upstream is a cheap MCP server: net/http and prepared answers, so that a proxy's cost is not lost in
// its upstream's. It speaks both eras, as far as verification and the bench need.
type Upstream struct {
	before, after string
	bodies        sync.Pool
	sessions      atomic.Uint64
}

// NewUpstream returns an upstream.
func NewUpstream() *Upstream {
	u := &Upstream{bodies: sync.Pool{New: func() any { return new([maxBody]byte) }}}
	u.before, u.after = answer()
	return u
}

// ServeHTTP answers one request.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != Path:
		http.NotFound(w, r)
	case r.Method == http.MethodPost:
		u.post(w, r)
	case r.Method == http.MethodGet && r.Header.Get("Mcp-Session-Id") != "":
		hold(w, r, ": ok\n\n")
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

func (u *Upstream) post(w http.ResponseWriter, r *http.Request) {
	buf := u.bodies.Get().(*[maxBody]byte)
	defer u.bodies.Put(buf)
	n, err := io.ReadFull(r.Body, buf[:])
	if err != io.ErrUnexpectedEOF && err != io.EOF {
		http.Error(w, "body cut or too large", http.StatusBadRequest)
		return
	}
	body := buf[:n]
	id, prepared := bytes.CutPrefix(body, []byte(bodyStart))
	if prepared && len(id) > idDigits {
		switch r.Header.Get("Mcp-Name") {
		case JSON.tool():
			u.call(w, JSON, id[:idDigits])
			return
		case SSE.tool():
			u.call(w, SSE, id[:idDigits])
			return
		}
	}
	u.other(w, r, body)
}

// call answers with one write, and for an event stream one flush, as real servers do.
func (u *Upstream) call(w http.ResponseWriter, k Kind, id []byte) {
	w.Header()["Content-Type"] = []string{k.contentType()}
	before, after := k.wrap()
	out := make([]byte, 0, 512)
	out = append(out, before...)
	out = append(out, u.before...)
	out = append(out, id...)
	out = append(out, u.after...)
	out = append(out, after...)
	_, _ = w.Write(out)
	if k == SSE {
		_ = http.NewResponseController(w).Flush()
	}
}

// other answers what verification and sessions need.
func (u *Upstream) other(w http.ResponseWriter, r *http.Request, body []byte) {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	const capabilities = `"capabilities":{"tools":{"listChanged":true}}`
	const serverInfo = `{"name":"bench-upstream","version":"1"}`
	switch m.Method {
	case "initialize":
		w.Header().Set("Mcp-Session-Id", "bench-"+strconv.FormatUint(u.sessions.Add(1), 10))
		reply(w, m.ID, `{"protocolVersion":"2025-11-25",`+capabilities+`,"serverInfo":`+serverInfo+`}`)
	case "server/discover":
		reply(w, m.ID, `{"resultType":"complete","supportedVersions":["`+version+`","2025-11-25"],`+capabilities+
			`,"ttlMs":0,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":`+serverInfo+`}}`)
	case "tools/list":
		reply(w, m.ID, `{"resultType":"complete","ttlMs":0,"cacheScope":"public","tools":[`+tool(JSON)+`,`+tool(SSE)+`]}`)
	case "subscriptions/listen":
		hold(w, r, fmt.Sprintf("event: message\ndata: "+`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged",`+
			`"params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s},"notifications":{"toolsListChanged":true}}}`+"\n\n", m.ID))
	case "ping":
		reply(w, m.ID, `{}`)
	default:
		w.Header().Set("Content-Type", JSON.contentType())
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, bodyStart+`%s,"error":{"code":-32601,"message":"method not found"}}`, m.ID)
	}
}

func tool(k Kind) string {
	return `{"name":"` + k.tool() + `","description":"answers","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}`
}

func reply(w http.ResponseWriter, id json.RawMessage, result string) {
	w.Header().Set("Content-Type", JSON.contentType())
	fmt.Fprintf(w, bodyStart+`%s,"result":%s}`, id, result)
}

// hold opens an event stream, writes its start and keeps it open until the client leaves.
func hold(w http.ResponseWriter, r *http.Request, start string) {
	w.Header().Set("Content-Type", SSE.contentType())
	_, _ = io.WriteString(w, start)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}
