package host

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quorate/quorate/strategies"
)

// What a decision may fail with, besides strategies.ErrRefused: the strategy has no rule. After each of them the
// committed rule stays.
var (
	// ErrDown: the plugin is not running, or its breaker is open.
	ErrDown = errors.New("host: plugin is down")
	// ErrLate: no answer in time.
	ErrLate = errors.New("host: plugin is late")
	// ErrFailed: the call failed, as when the plugin crashes or answers with an error or with too much.
	ErrFailed = errors.New("host: plugin failed")
	// ErrInadmissible: the answer is no rule that may be committed, or breaks the contract otherwise. The error also
	// wraps what strategies.Admit says.
	ErrInadmissible = errors.New("host: plugin's answer is inadmissible")
	// ErrNoStore: the replication strategy is no store.
	ErrNoStore = errors.New("host: plugin is no store")
	// ErrChecksum: the executable is not the one that was configured.
	ErrChecksum = errors.New("host: checksum does not match")
	// ErrVersion: the plugin speaks no protocol version that is spoken here.
	ErrVersion = errors.New("host: no common protocol version")
	// ErrStart: the plugin did not start.
	ErrStart = errors.New("host: plugin did not start")
)

// classify says in this package's terms what a call came to.
func classify(ctx context.Context, err error) error {
	switch code := status.Code(err); {
	case err == nil, errors.Is(err, strategies.ErrRefused), errors.Is(err, strategies.ErrUnavailable), errors.Is(err, strategies.ErrFull):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded), code == codes.DeadlineExceeded:
		return ErrLate
	case code == codes.Unknown && !isStatus(err):
		return fmt.Errorf("%w: %w", ErrInadmissible, err)
	case code == codes.ResourceExhausted:
		return fmt.Errorf("%w: its answer is larger than is allowed, or it has no room: %s", ErrFailed, strategies.Printable(status.Convert(err).Message()))
	default:
		return fmt.Errorf("%w: %s: %s", ErrFailed, code, strategies.Printable(status.Convert(err).Message()))
	}
}

// isStatus tells an error of the call from one of the answer.
func isStatus(err error) bool {
	_, ok := status.FromError(err)
	return ok
}

// Problem says what is wrong, in the same words for as long as the same is wrong; "" for nil.
func Problem(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, strategies.ErrRefused), errors.Is(err, ErrInadmissible):
		return err.Error() // what the strategy said is what an operator needs
	}
	for _, kind := range []error{ErrLate, ErrDown, ErrFailed} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return err.Error()
}
