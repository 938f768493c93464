package edge

import (
	"errors"
	"testing"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/committed"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
)

// The group writes the records as a stream, and stops at an entry of theirs that this release cannot read.
func TestRecordsAreBulk(t *testing.T) {
	p := newKept(&config.Config{}).parts()[committed.PartName]
	if _, ok := p.(control.Bulk); !ok {
		t.Errorf("%T is encoded with the rest, while the write gate waits", p)
	}
	if _, err := p.Apply(1, []byte{99, 0}); !errors.Is(err, authority.ErrNewer) {
		t.Error(err)
	}
}
