package mcpnode

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Phases of an execution. An execution without an end was cut by the death of its process.
const (
	PhaseStart = "start" // written before the effect
	PhaseEnd   = "end"   // written before the answer
)

// Entry is one line of a journal.
type Entry struct {
	Call  string `json:"call"`
	Tool  string `json:"tool"`
	Node  string `json:"node"`
	PID   int    `json:"pid"`
	Phase string `json:"phase"`
	Unix  int64  `json:"unix_ns"`
	// Mono is CLOCK_MONOTONIC in nanoseconds: comparable between all processes of one machine, whatever its wall
	// clock does.
	Mono  int64  `json:"mono_ns"`
	Fence uint64 `json:"fence,omitempty"` // the epoch that the write named; 0: none
	Via   string `json:"via,omitempty"`   // the gateways that the write passed, the first one first; the last one sent it here
}

// Journal appends entries to a file and syncs it before Append returns, many entries by one sync.
type Journal struct {
	file  *os.File
	queue chan pending
	done  chan struct{}
}

type pending struct {
	line []byte
	ack  chan error
}

// maxBatch bounds the entries that share one sync.
const maxBatch = 256

var errClosed = errors.New("mcpnode: journal is closed")

// OpenJournal opens path for appending, creating it; an empty path gives a journal that keeps nothing.
func OpenJournal(path string) (*Journal, error) {
	if path == "" {
		return &Journal{}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("mcpnode: journal: %w", err)
	}
	if err := endLine(f); err != nil {
		return nil, errors.Join(fmt.Errorf("mcpnode: journal: %w", err), f.Close())
	}
	j := &Journal{file: f, queue: make(chan pending, maxBatch), done: make(chan struct{})}
	go j.write()
	return j, nil
}

// endLine ends a line that the death of an earlier process cut: a kill can come between two pages of
// one write.
func endLine(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = f.WriteString("\n")
	return err
}

// Append makes e durable. An error means that the effect must not be answered as done.
func (j *Journal) Append(e Entry) error {
	if j.file == nil {
		return nil
	}
	e.Unix = time.Now().UnixNano()
	if e.Mono == 0 {
		e.Mono = int64(monotonic())
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("mcpnode: journal: %w", err)
	}
	p := pending{line: append(line, '\n'), ack: make(chan error, 1)}
	select {
	case j.queue <- p:
	case <-j.done:
		return errClosed
	}
	select {
	case err := <-p.ack:
		return err
	case <-j.done:
		return errClosed
	}
}

func (j *Journal) write() {
	var batch []pending
	var buf []byte
	for {
		select {
		case p := <-j.queue:
			batch, buf = append(batch[:0], p), append(buf[:0], p.line...)
		case <-j.done:
			return
		}
		for len(j.queue) > 0 && len(batch) < maxBatch {
			p := <-j.queue
			batch, buf = append(batch, p), append(buf, p.line...)
		}
		err := j.flush(buf)
		for _, p := range batch {
			p.ack <- err
		}
	}
}

func (j *Journal) flush(buf []byte) error {
	if _, err := j.file.Write(buf); err != nil {
		return fmt.Errorf("mcpnode: journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("mcpnode: journal: %w", err)
	}
	return nil
}

// Close ends the writer; an Append under way may fail.
func (j *Journal) Close() {
	if j.file == nil {
		return
	}
	close(j.done)
	_ = j.file.Close()
}

// ReadJournal returns the entries of a file; a file that does not exist has none. A line that was cut
// is left out: its Append never returned, so the effect had not begun or was not answered.
func ReadJournal(path string) ([]Entry, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("mcpnode: journal: %w", err)
	}
	var entries []Entry
	sc := bufio.NewScanner(bytes.NewReader(raw))
	for line := 1; sc.Scan(); line++ {
		if !bytes.HasSuffix(sc.Bytes(), []byte("}")) { // entries are flat: only a whole one ends so
			continue
		}
		var e Entry
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("mcpnode: journal: %s line %d: %w", path, line, err)
		}
		entries = append(entries, e)
	}
	return entries, sc.Err()
}
