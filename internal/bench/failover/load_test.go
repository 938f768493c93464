package failover

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// regional answers every modern call, and names its region.
func regional(t *testing.T, region string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"jsonrpc":"2.0","id":`), ",")
		w.Header().Set(headerRegion, region)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{"content":[]}}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestAnswersAreTalliedBySiteAndRegion(t *testing.T) {
	load, err := NewLoad(LoadConfig{Think: time.Millisecond, Seed: 3, Sites: []Site{
		{Name: "near", URL: regional(t, "near"), Agents: Mix{ModernRaw: 2}},
		{Name: "lost", URL: regional(t, "far"), Agents: Mix{ModernRaw: 1}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	load.Start(t.Context())
	out := load.Watch()
	load.Alarm()
	<-out.done
	load.Stop()
	f := load.Figures()
	near, far := f.Answers["near"]["near"], f.Answers["lost"]["far"]
	if near == 0 || far == 0 || near+far != f.Calls || len(f.Answers["near"]) != 1 || len(f.Answers["lost"]) != 1 {
		t.Errorf("%+v", f)
	}
	if gap := out.Gap(time.Now()); gap <= 0 || gap > 5*time.Second || out.Wait(time.Now()) < gap {
		t.Errorf("gap %s, wait %s", gap, out.Wait(time.Now()))
	}
	// No journal says that a call was executed, so every answer with an effect is contradicted.
	if res := load.Result(nil); res.Calls != f.Calls || res.False == 0 || res.SafeLost != 0 {
		t.Errorf("%+v", res)
	}
}

func TestOutageKnowsLaterWaits(t *testing.T) {
	at := time.Now()
	after := func(ms int) time.Time { return at.Add(time.Duration(ms) * time.Millisecond) }
	out := newOutage(at, 2)
	one, two := &agent{index: 0}, &agent{index: 1}
	out.answer(one, after(-5), after(900)) // under way before: says nothing
	out.answer(one, after(1), after(30))
	out.answer(one, after(40), after(140))
	if got := out.Gap(after(200)); got != 200*time.Millisecond {
		t.Errorf("a gap that has not ended is %s", got)
	}
	out.answer(two, after(1), after(50))
	if gap, wait := out.Gap(after(300)), out.Wait(after(300)); gap != 50*time.Millisecond || wait != 100*time.Millisecond {
		t.Errorf("gap %s, wait %s", gap, wait)
	}
	// The request of one was under way for 895 ms before the fault ended it; two's was sent after the fault.
	if got := out.Requests(); !slices.Equal(got, []time.Duration{49 * time.Millisecond, 900 * time.Millisecond}) {
		t.Errorf("requests waited %v", got)
	}
}

func TestLoadsThatAreNone(t *testing.T) {
	for _, sites := range [][]Site{nil, {{Agents: Mix{}}}, {{Agents: Mix{ModernRaw: 1001}}}, make([]Site, 65)} {
		if _, err := NewLoad(LoadConfig{Sites: sites}); err == nil {
			t.Errorf("%d sites were taken", len(sites))
		}
	}
}

// Calls that were under way in a front that is killed are cut, not lost, when the load is told of it before; later ones
// are lost all the same.
func TestCallsAreCutByABreakOnly(t *testing.T) {
	for _, told := range []bool{true, false} {
		held := make(chan struct{})
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			<-held
			panic(http.ErrAbortHandler)
		}))
		t.Cleanup(srv.Close)
		load, err := NewLoad(LoadConfig{Think: time.Millisecond, Seed: 3, Sites: []Site{{Name: "s", URL: srv.URL, Agents: Mix{ModernRaw: 4}}}})
		if err != nil {
			t.Fatal(err)
		}
		load.Start(t.Context())
		if told {
			load.Break("s")
			load.Break("another site")
		}
		tick := time.NewTicker(10 * time.Millisecond)
		end := time.Now().Add(5 * time.Second)
		close(held)
		for load.Figures().SafeLost == 0 && time.Now().Before(end) {
			<-tick.C
		}
		tick.Stop()
		load.Stop()
		f, res := load.Figures(), load.Result(nil)
		if (f.Cut > 0) != told || f.SafeLost == 0 || res.Unknown != f.Unknown {
			t.Errorf("told %v: %+v, %+v", told, f, res)
		}
		if told && res.Untold >= res.Unknown {
			t.Errorf("of %d once calls without an outcome %d count as untold", res.Unknown, res.Untold)
		}
	}
}
