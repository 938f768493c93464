package mcp

import "bytes"

// lineEnds finds line ends (LF, CR or CRLF) and remembers where the next of each kind is, so that a
// stream of one kind is not searched over and over for the other.
type lineEnds struct{ lf, cr int }

// next returns the index of the first LF or CR of b at or after from, len(b) when there is none.
// Between calls b may grow, and from may only rise.
func (e *lineEnds) next(b []byte, from int) int {
	e.lf = nextByte(b, max(e.lf, from), '\n')
	e.cr = nextByte(b, max(e.cr, from), '\r')
	return min(e.lf, e.cr)
}

func (e *lineEnds) shift(n int) {
	e.lf, e.cr = max(0, e.lf-n), max(0, e.cr-n)
}

func nextByte(b []byte, from int, c byte) int {
	if from < len(b) && b[from] == c {
		return from
	}
	if i := bytes.IndexByte(b[from:], c); i >= 0 {
		return from + i
	}
	return len(b)
}

// lineAfter returns where the line behind the line end at i starts.
func lineAfter(b []byte, i int) int {
	if b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n' {
		return i + 2
	}
	return i + 1
}

// parse reads the fields of one framed event, which ends with a line end.
func (r *EventReader) parse(raw []byte) Event {
	e := Event{Raw: raw, Comment: true}
	var ends lineEnds
	for at := 0; at < len(raw); {
		end := ends.next(raw, at)
		r.field(&e, raw[at:end:end])
		at = lineAfter(raw, end)
	}
	return e
}

func (r *EventReader) field(e *Event, line []byte) {
	if len(line) == 0 {
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	if len(name) == 0 { // a comment; within an event it is not reported
		if e.Comment {
			e.Data = present(value)
		}
		return
	}
	e.Comment = false
	switch string(name) {
	case "data":
		r.data(e, value)
	case "event":
		e.Name = eventName(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			e.ID, e.HasID = string(value), true
		}
	case "retry":
		if digits(value) {
			e.Retry = string(value)
		}
	}
}

// data adds a data line: the first one in place, more of them joined.
func (r *EventReader) data(e *Event, line []byte) {
	switch {
	case e.Data == nil:
		e.Data, r.join = present(line), r.join[:0]
	case len(r.join) == 0:
		r.join = append(append(append(r.join, e.Data...), '\n'), line...)
		e.Data = r.join
	default:
		r.join = append(append(r.join, '\n'), line...)
		e.Data = r.join
	}
}

func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func eventName(b []byte) string {
	if string(b) == "message" { // nearly all of them
		return "message"
	}
	return string(b)
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// AppendEvent appends the event's frame to dst, Raw aside. Bytes that would break the frame do not get
// through: line ends and NUL are left out of ID, Name, Retry and comments, and line ends in Data
// start a new data line, so that CR and CRLF come out as LF.
func AppendEvent(dst []byte, e Event) []byte {
	if e.Comment {
		if e.Data != nil {
			dst = appendField(dst, ": ", string(e.Data))
		}
		return append(dst, '\n')
	}
	if e.Name != "" {
		dst = appendField(dst, "event: ", e.Name)
	}
	if e.HasID {
		dst = appendField(dst, "id: ", e.ID)
	}
	if e.Retry != "" {
		dst = appendField(dst, "retry: ", e.Retry)
	}
	if e.Data != nil {
		dst = appendData(dst, e.Data)
	}
	return append(dst, '\n')
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	for i := range len(value) {
		if c := value[i]; c != '\n' && c != '\r' && c != 0 {
			dst = append(dst, c)
		}
	}
	return append(dst, '\n')
}

func appendData(dst, data []byte) []byte {
	var ends lineEnds
	for at := 0; ; {
		end := ends.next(data, at)
		dst = append(append(append(dst, "data: "...), data[at:end]...), '\n')
		if end == len(data) {
			return dst
		}
		at = lineAfter(data, end)
	}
}
