package failover

import (
	"io"
	"net/http"
	"net/http/httptest"
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
}

func TestLoadsThatAreNone(t *testing.T) {
	for _, sites := range [][]Site{nil, {{Agents: Mix{}}}, {{Agents: Mix{ModernRaw: 1001}}}, make([]Site, 65)} {
		if _, err := NewLoad(LoadConfig{Sites: sites}); err == nil {
			t.Errorf("%d sites were taken", len(sites))
		}
	}
}
