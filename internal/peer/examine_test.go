package peer

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
)

func TestExamine(t *testing.T) {
	f, other := newFleet(t), newFleet(t)
	east := f.credentials(t, f.issue(t, "us-east", "e1", ca.Options{}))
	g := start(t, f.credentials(t, f.issue(t, "eu-west", "w1", ca.Options{Life: time.Hour})), "", nil)
	ask := func(c *Credentials, region, address string) (Examination, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return Examine(ctx, c, Remote{Region: region, Address: address}, "v-doctor")
	}
	e, err := ask(east, "eu-west", g.address)
	if want := (Identity{"eu-west", "w1"}); err != nil || e.Identity != want || e.Version != "v-w1" || e.Took <= 0 ||
		time.Until(e.Expires) > time.Hour || e.Issued.After(time.Now()) {
		t.Errorf("%+v %v", e, err)
	}
	if _, err := ask(east, "ap-south", g.address); !errors.Is(err, ErrRegion) {
		t.Errorf("another region: %v", err)
	}
	if _, err := ask(f.credentials(t, f.issue(t, "eu-west", "w1", ca.Options{})), "eu-west", g.address); !errors.Is(err, ErrTwin) {
		t.Errorf("its own name: %v", err)
	}
	stranger := other.credentials(t, other.issue(t, "us-east", "e1", ca.Options{}))
	var unknown x509.UnknownAuthorityError
	if _, err := ask(stranger, "eu-west", g.address); !errors.As(err, &unknown) {
		t.Errorf("another fleet: %v", err)
	}
	if len(g.Links()) > 1 { // that of the first examination may still be ending
		t.Errorf("links left: %+v", g.Links())
	}
}

func TestExamineEnds(t *testing.T) {
	f := newFleet(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = Examine(ctx, f.credentials(t, f.issue(t, "a", "b", ca.Options{})), Remote{Region: "c", Address: l.Addr().String()}, "")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
