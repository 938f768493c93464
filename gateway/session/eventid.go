package session

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/quorate/quorate/gateway/mcp"
)

// listenStream is the number of the standalone GET stream; answers to POSTs count from 1.
const listenStream = 0

// maxNames bounds what an event id says of the requests that its stream answers.
const maxNames = 256

// lastName stands in the place of names in the id of a stream's last words: there is nothing behind them.
const lastName = ".end"

// position is what one of the gateway's event ids names.
type position struct {
	stream, seq uint64
	requests    []string // that the stream answers, as written in JSON; nil: they are not named
	last        bool     // it is the id of last words
}

// eventPrefix begins the ids of one stream's events. The session's hash makes an id from anywhere
// else unmistakable: a foreign one must be refused, not taken for a position.
func eventPrefix(hash string, stream uint64) string {
	return hash + "-" + strconv.FormatUint(stream, 10) + "-"
}

// eventSuffix ends the ids of a stream that answers these requests: a gateway that goes on with the session has not
// heard of them, and has to answer them all the same. It is empty for too many.
func eventSuffix(ids []string) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteByte("-."[min(b.Len(), 1)])
		b.WriteString(base64.RawURLEncoding.EncodeToString([]byte(id)))
	}
	if b.Len() > maxNames {
		return ""
	}
	return b.String()
}

// namedRequests reads what eventSuffix has written.
func namedRequests(names string) (ids []string, ok bool) {
	if len(names) > maxNames {
		return nil, false
	}
	for name := range strings.SplitSeq(names, ".") {
		id, err := base64.RawURLEncoding.DecodeString(name)
		if err != nil || !scalar(id) {
			return nil, false
		}
		ids = append(ids, string(id))
	}
	return ids, true
}

// scalar reports an id as JSON-RPC has them, and nothing behind it.
func scalar(id []byte) bool {
	message := []byte(`{"jsonrpc":"2.0","method":"ping","id":` + string(id) + `}`)
	env, err := mcp.Scan(message)
	return err == nil && bytes.Equal(env.ID.Of(message), id)
}

// parseEventID reads a Last-Event-ID, reporting false for one that the session did not issue.
func parseEventID(hash, id string) (position, bool) {
	rest, ours := strings.CutPrefix(id, hash+"-")
	stream, rest, cut := strings.Cut(rest, "-")
	if !ours || !cut {
		return position{}, false
	}
	seq, names, named := strings.Cut(rest, "-")
	n, err1 := strconv.ParseUint(stream, 10, 64)
	q, err2 := strconv.ParseUint(seq, 10, 64)
	p := position{stream: n, seq: q}
	switch {
	case named && names == lastName:
		p.last = true
	case named:
		p.requests, ours = namedRequests(names)
	}
	return p, ours && err1 == nil && err2 == nil
}
