package mcpnode

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"golang.org/x/sys/unix"
)

// The fields by which a gateway says under which epoch, and through which gateways, a write comes.
const (
	headerFence = "Quorate-Fence"
	headerVia   = "Quorate-Via"
)

var errFenced = errors.New("a later epoch has been seen; nothing was done")

// codeNoAuthority says that nothing was done, as a gateway's own refusal does; no result of a tool could.
const codeNoAuthority = -32071

// overtaken is what a call is told that was let in and then overtaken by a later epoch.
func overtaken() error {
	return &jsonrpc.Error{Code: codeNoAuthority, Message: errFenced.Error(), Data: json.RawMessage(`{"reason":"fenced"}`)}
}

// fence remembers the largest epoch that a write has named, and refuses lower ones: how a node keeps out a
// gateway that stood still while it lost its authority. A write that names none passes.
type fence struct {
	checks  bool
	mu      sync.Mutex
	largest uint64
}

// newFence goes on from what the journal of an earlier process says.
func newFence(checks bool, journal string) (*fence, error) {
	f := &fence{checks: checks}
	if !checks || journal == "" {
		return f, nil
	}
	entries, err := ReadJournal(journal)
	for _, e := range entries {
		f.largest = max(f.largest, e.Fence)
	}
	return f, err
}

// admit takes note of an epoch, unless a larger one is known, which it returns. The time is of that moment, so
// that the times of what was admitted never contradict their epochs.
func (f *fence) admit(epoch uint64) (at time.Duration, largest uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if epoch != 0 && f.checks {
		if epoch < f.largest {
			return 0, f.largest, false
		}
		f.largest = epoch
	}
	return monotonic(), f.largest, true
}

// guard answers 409, and the largest epoch, where a lower one is named.
func (f *fence) guard(next http.Handler) http.Handler {
	if !f.checks {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		named := r.Header.Get(headerFence)
		epoch, err := strconv.ParseUint(named, 10, 64)
		if named != "" && err != nil {
			http.Error(w, headerFence+" is no decimal number", http.StatusBadRequest)
			return
		}
		if _, largest, ok := f.admit(epoch); !ok {
			w.Header().Set(headerFence, strconv.FormatUint(largest, 10))
			http.Error(w, errFenced.Error(), http.StatusConflict)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// monotonic is the machine's own clock, one for all of its processes and network namespaces.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it fails for clocks that do not exist
	return time.Duration(t.Nano())
}
