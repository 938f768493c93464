package peer

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// errGoodbye: the other side ended the link, or did not begin it, and said why.
type errGoodbye struct{ goodbye }

// Error implements error.
func (e errGoodbye) Error() string {
	if e.Text != "" {
		return "the other side ended the link: " + e.Text
	}
	return "the other side ended the link: " + e.Reason
}

// Is lets callers branch on what the other side found as if it had been found here.
func (e errGoodbye) Is(target error) bool {
	switch e.Reason {
	case byeSelf:
		return target == ErrSelf
	case byeTwin:
		return target == ErrTwin
	case byeVersion:
		return target == ErrVersion
	case byeCluster:
		return target == ErrCluster
	case byeRenewed:
		return target == errRenewed
	}
	return false
}

// meeting is a connection on which both sides have proved who they are and said hello.
type meeting struct {
	conn   *tls.Conn
	trust  *trust
	theirs hello
	era    uint64 // of what this gateway said of itself, see Regreet
}

// greet exchanges hellos on a connection whose handshake is done. Both sides speak first. On an error the
// other side was told, and the caller closes the connection.
func (p *Peers) greet(conn *tls.Conn, t *trust, probe bool, until time.Time) (meeting, error) {
	if err := conn.SetDeadline(until); err != nil {
		return meeting{}, err
	}
	m := meeting{conn: conn, trust: t, era: p.era.Load()}
	mine, err := p.introduce(probe)
	if err != nil {
		return meeting{}, err
	}
	frame, err := jsonFrame(frameHello, mine)
	if err != nil {
		return meeting{}, err
	}
	if _, err := conn.Write(frame); err != nil {
		return meeting{}, errors.Join(err, firstWords(conn))
	}
	m.theirs, err = readHello(conn)
	if err == nil {
		err = p.judge(m.theirs, mine, t.identity)
	}
	if word := byeFor(err); word != "" {
		p.refuse(conn, word, err.Error())
	}
	if err != nil {
		return meeting{}, err
	}
	return m, conn.SetDeadline(time.Time{})
}

// firstWords reads what the other side said before it closed: that it does not trust us, for example.
func firstWords(conn *tls.Conn) error {
	_, err := readHello(conn)
	return err
}

func readHello(conn net.Conn) (hello, error) {
	kind, payload, err := readFrame(conn, nil, maxHello)
	if err != nil {
		return hello{}, err
	}
	switch kind {
	case frameHello:
		var h hello
		if err := json.Unmarshal(payload, &h); err != nil {
			return hello{}, fmt.Errorf("%w: hello: %w", ErrFrame, err)
		}
		return h, nil
	case frameGoodbye:
		return hello{}, parseGoodbye(payload)
	}
	return hello{}, fmt.Errorf("%w: type %d before a hello", ErrFrame, kind)
}

func parseGoodbye(payload []byte) error {
	var g goodbye
	if err := json.Unmarshal(payload, &g); err != nil {
		return fmt.Errorf("%w: goodbye: %w", ErrFrame, err)
	}
	g.Reason, g.Text = printable(g.Reason), printable(g.Text)
	return errGoodbye{g}
}

// maxText bounds what is shown of another gateway's words.
const maxText = 200

// printable makes what another gateway says fit for a log line and a terminal.
func printable(s string) string {
	b := []byte(s[:min(len(s), maxText)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// judge decides whether a link with the sender of a hello makes sense.
func (p *Peers) judge(h, mine hello, shown Identity) error {
	said := Identity{Region: h.Region, Gateway: h.Gateway}
	switch {
	case h.Max < versionMin || h.Min > versionMax:
		return fmt.Errorf("%w: here %d to %d, there %d to %d", ErrVersion, versionMin, versionMax, h.Min, h.Max)
	case said != shown:
		return fmt.Errorf("%w: the hello is of %s, the certificate of %s", ErrIdentity, printable(said.String()), shown)
	case shown == p.identity && h.Instance == p.hello.Instance:
		return ErrSelf
	case shown == p.identity:
		return fmt.Errorf("%w, %s", ErrTwin, shown)
	}
	err := mixed(h, mine, shown)
	if errors.Is(err, ErrCluster) && p.cfg.Foreign != nil {
		p.cfg.Foreign(h.Cluster)
	}
	return err
}

// byeFor returns the goodbye's word for what was found wrong here, "" when there is nobody to tell.
func byeFor(err error) string {
	var said errGoodbye
	switch {
	case err == nil || errors.As(err, &said):
		return ""
	case errors.Is(err, ErrVersion):
		return byeVersion
	case errors.Is(err, ErrSelf):
		return byeSelf
	case errors.Is(err, ErrTwin):
		return byeTwin
	case errors.Is(err, ErrIdentity):
		return byeIdentity
	case errors.Is(err, ErrCluster):
		return byeCluster
	case errors.Is(err, errRegreet):
		return byeRenewed
	case errors.Is(err, errFull):
		return byeFull
	case errors.Is(err, ErrClosed):
		return byeClosing
	case errors.Is(err, ErrFrame):
		return byeProtocol
	}
	return ""
}

// farewell is how long the last frame may take, and how long its reader may take to close.
const farewell = 250 * time.Millisecond

// refuse says goodbye on a connection that nothing else writes to.
func (p *Peers) refuse(conn *tls.Conn, reason, text string) {
	frame, err := jsonFrame(frameGoodbye, goodbye{Reason: reason, Text: text})
	if err != nil {
		return
	}
	if err := conn.SetDeadline(time.Now().Add(farewell)); err != nil {
		return
	}
	if _, err := conn.Write(frame); err != nil {
		return
	}
	linger(conn)
}

// linger ends our half of the connection and waits for the other side to end its own: closing with
// unread bytes resets a connection, and a reset overtakes the goodbye.
func linger(conn *tls.Conn) {
	if tcp, ok := conn.NetConn().(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		buf := make([]byte, 4<<10)
		for n := 0; n < MaxReport; {
			m, err := tcp.Read(buf)
			if err != nil {
				return
			}
			n += m
		}
	}
}
