package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/strategies"
)

// A server that falls silent is left after two pings without an answer and the third: well before sessions are taken over
// whose gateway fell silent with it. A round trip of half a second is none.
const (
	pings     = 300 * time.Millisecond
	pingsLost = 2
)

// errCut: the connection was lost under a round.
var errCut = errors.New("jetstream: connection was lost")

// line ends what waits for an answer over a connection that is lost: none comes any more. The zero value is ready.
type line struct {
	mu  sync.Mutex
	ctx context.Context // of the connection that there is
	cut context.CancelFunc
}

// use is done when ctx is, or the connection is lost; leave is called after it.
func (l *line) use(ctx context.Context) (_ context.Context, leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		l.ctx, l.cut = context.WithCancel(context.Background())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.ctx, func() { cancel(errCut) })
	return ctx, func() { stop(); cancel(nil) }
}

// lost says that the connection is.
func (l *line) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut != nil {
		l.cut()
	}
	l.ctx, l.cut = nil, nil
}

// onLine tells an error of a round that ended with its connection from that of a caller who has gone.
func onLine(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errCut) {
		return fmt.Errorf("%w: %w", strategies.ErrUnavailable, errCut)
	}
	return err
}
