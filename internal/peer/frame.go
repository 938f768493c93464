package peer

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The link protocol: frames of a type byte, the payload's length (big endian, 32 bits) and the payload.
// Both sides begin with a hello. Frames of unknown types are skipped, and payloads may grow at their end,
// so that newer gateways can say more. After a goodbye nothing follows.
const (
	frameHello   = 1 // JSON, see hello
	framePing    = 2 // see beat
	framePong    = 3 // see beat: the ping's sequence and time, and the answerer's own heard
	frameReport  = 4 // the owner's payload
	frameGoodbye = 5 // JSON, see goodbye
	frameSignal  = 6 // the owner's payload
	frameWelcome = 7 // empty: the accepting side of a stream takes it; the stream's own bytes follow

	frameHeader = 5
	// MaxReport is the largest report, in bytes; no frame is larger.
	MaxReport = 64 << 10
	// MaxSignal is the largest signal, in bytes.
	MaxSignal = 8 << 10
	// maxHello bounds what is read before the other side has said who it is.
	maxHello = 4 << 10

	// versionMin and versionMax are the versions of the protocol spoken here.
	versionMin = 1
	versionMax = 1
)

var (
	// ErrFrame says that the other side sent what is no frame of the link protocol.
	ErrFrame = errors.New("malformed frame")
	// ErrVersion says that the two sides have no version of the link protocol in common.
	ErrVersion = errors.New("no common version of the link protocol")
)

// appendFrame appends a whole frame to b.
func appendFrame(b []byte, kind byte, payload []byte) []byte {
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return append(b, payload...)
}

// readFrame reads a frame with at most limit bytes of payload, into buf when that is large enough.
func readFrame(r io.Reader, buf []byte, limit int) (kind byte, payload []byte, err error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > uint32(limit) {
		return 0, nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrFrame, n, limit)
	}
	if int(n) > cap(buf) {
		buf = make([]byte, n)
	}
	_, err = io.ReadFull(r, buf[:n])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return head[0], buf[:n], err
}

// beat is a ping or a pong. Sent is the pinging side's own monotonic clock, which only that side reads.
// Heard is how old the last ping from the other side was, negative when there was none: it tells the
// other side whether it is heard.
type beat struct {
	seq   uint64
	sent  time.Duration
	heard time.Duration
}

const beatSize = 24

func (b beat) frame(kind byte) []byte {
	payload := make([]byte, 0, beatSize)
	payload = binary.BigEndian.AppendUint64(payload, b.seq)
	payload = binary.BigEndian.AppendUint64(payload, uint64(b.sent))
	payload = binary.BigEndian.AppendUint64(payload, uint64(b.heard))
	return appendFrame(make([]byte, 0, frameHeader+beatSize), kind, payload)
}

func parseBeat(payload []byte) (beat, error) {
	if len(payload) < beatSize {
		return beat{}, fmt.Errorf("%w: ping or pong of %d bytes", ErrFrame, len(payload))
	}
	return beat{
		seq:   binary.BigEndian.Uint64(payload),
		sent:  time.Duration(binary.BigEndian.Uint64(payload[8:])),
		heard: time.Duration(binary.BigEndian.Uint64(payload[16:])),
	}, nil
}

// hello is the first frame of each side. Start is when this life of the gateway began, in Unix
// nanoseconds; with Instance it tells two lives apart, and this gateway from a twin.
type hello struct {
	Min      int    `json:"min"`
	Max      int    `json:"max"`
	Region   string `json:"region"`
	Gateway  string `json:"gateway"`
	Start    int64  `json:"start"`
	Instance string `json:"instance"`
	Version  string `json:"version,omitempty"`
	Address  string `json:"address,omitempty"` // where others reach its listener
	Cluster  string `json:"cluster,omitempty"` // with its generation; empty while it belongs to none
	Probe    bool   `json:"probe,omitempty"`   // only asks whether anybody answers; no link
}

// goodbye is the last frame of a side that ends a link on purpose.
type goodbye struct {
	Reason string `json:"reason"` // a word
	Text   string `json:"text,omitempty"`
}

// words of goodbyes
const (
	byeClosing  = "closing"  // the gateway stops, or the remote has left its configuration
	byeRenewed  = "renewed"  // the side has something new to show, and both shall be back at once
	byeVersion  = "version"  // see ErrVersion
	byeSelf     = "self"     // see ErrSelf
	byeTwin     = "twin"     // see ErrTwin
	byeFull     = "full"     // there are too many links
	byeProtocol = "protocol" // see ErrFrame
	byeTrust    = "trust"    // the certificate is not good any more
	byeSilent   = "silent"   // no pong came
	byeIdentity = "identity" // the hello and the certificate differ
	byeCluster  = "cluster"  // see ErrCluster
)

// jsonFrame makes a frame of a hello or a goodbye.
func jsonFrame(kind byte, v any) ([]byte, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return appendFrame(nil, kind, payload), nil
}
