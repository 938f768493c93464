package dns

import (
	"errors"
	"slices"
	"testing"
)

func TestExamine(t *testing.T) {
	lie := truth.with(asked + " 60 IN SRV 1 10 8443 evil.example.com.")
	lie = append(lie, "evil.example.com. 60 IN A "+impostor)
	good, liar, silent := serve(t, honest(t, truth)), serve(t, honest(t, lie)), serve(t, mute)
	cfg := base(good.addr, serve(t, honest(t, truth)).addr, liar.addr, silent.addr)
	cfg.Agree, cfg.Timeout = 2, 200_000_000
	e := source(t, cfg).Examine(t.Context())
	if e.Answer.Err != nil || len(e.Answer.Nodes) != 2 || e.Agree != 2 || e.Type != SRV || len(e.Resolvers) != 4 {
		t.Fatalf("%+v", e)
	}
	want := []string{"n1.search.example.com:8443", "n2.search.example.com:8443"}
	if r := e.Resolvers[0]; !r.Answered || !r.Agree || r.Denied || r.Who != good.addr || !slices.Equal(r.Names, want) {
		t.Errorf("honest: %+v", r)
	}
	if r := e.Resolvers[2]; !r.Answered || r.Agree || !slices.Equal(r.Names, []string{"evil.example.com:8443"}) {
		t.Errorf("liar: %+v", r)
	}
	if r := e.Resolvers[3]; r.Answered || r.Denied || r.Agree || len(r.Names) != 0 {
		t.Errorf("silent: %+v", r)
	}
	e = source(t, base(serve(t, honest(t, nil)).addr, serve(t, honest(t, nil)).addr)).Examine(t.Context())
	if r := e.Resolvers[0]; !errors.Is(e.Answer.Err, ErrNXDomain) || !r.Denied || r.Answered {
		t.Errorf("no such name: %v %+v", e.Answer.Err, r)
	}
}
