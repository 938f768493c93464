package session

import (
	"strconv"
	"strings"
)

// listenStream is the number of the standalone GET stream; answers to POSTs count from 1.
const listenStream = 0

// position is what one of the gateway's event ids names.
type position struct{ stream, seq uint64 }

// eventPrefix begins the ids of one stream's events. The session's hash makes an id from anywhere
// else unmistakable: a foreign one must be refused, not taken for a position.
func eventPrefix(hash string, stream uint64) string {
	return hash + "-" + strconv.FormatUint(stream, 10) + "-"
}

// parseEventID reads a Last-Event-ID, reporting false for one that the session did not issue.
func parseEventID(hash, id string) (position, bool) {
	rest, ours := strings.CutPrefix(id, hash+"-")
	stream, seq, cut := strings.Cut(rest, "-")
	if !ours || !cut {
		return position{}, false
	}
	n, err1 := strconv.ParseUint(stream, 10, 64)
	q, err2 := strconv.ParseUint(seq, 10, 64)
	return position{stream: n, seq: q}, err1 == nil && err2 == nil
}
