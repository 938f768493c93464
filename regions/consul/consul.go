// Package consul finds nodes and peer gateways in Consul's catalog, and puts gateways into it. Consul is a cache of
// names here and never an authority: an answer proposes, and takes something away only when it is beyond doubt.
// It must not know whether a node verifies, what traffic does with it, or what other sources say.
package consul

import "errors"

// Name is what proposals of this source carry in their Source field.
const Name = "consul"

// Why an answer was not taken as it is. What was known stays.
var (
	// ErrEmptied: the catalog names no instance.
	ErrEmptied = errors.New("catalog names no instance")
	// ErrBackwards: the catalog's index is lower than before and most of what was known is missing, as after a restart
	// with an empty catalog.
	ErrBackwards = errors.New("catalog's index ran backwards and most instances are gone")
	// ErrShrunk: most of what was known is missing at once.
	ErrShrunk = errors.New("catalog lost most instances at once")
	// ErrStale: the server that answered has not heard from a leader for too long.
	ErrStale = errors.New("catalog is stale")
)

// Why there is no answer.
var (
	// ErrTimeout: Consul did not answer in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrDenied: the ACL token is missing, unknown or may not do this.
	ErrDenied = errors.New("permission denied")
	// ErrTooLarge: the answer is larger than is read.
	ErrTooLarge = errors.New("answer is too large")
)
