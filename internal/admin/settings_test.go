package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/settings"
)

// agreed is a control group of one: what is put is applied at once to the real replicated state. fail, where it
// says so, is what happens instead.
type agreed struct {
	mu    sync.Mutex
	part  *settings.Part
	index uint64
	fail  error
	by    string
}

func newAgreed() *agreed { return &agreed{part: settings.NewPart()} }

func (a *agreed) setting(d settings.Document) Setting {
	return Setting{Kind: d.Kind, Name: d.Name, Source: SourceAPI, Revision: d.Revision, Settings: d.Body, InForce: true}
}

func (a *agreed) Get(kind settings.Kind, name string) (Setting, error) {
	if name == "filed" {
		return Setting{Kind: kind, Name: name, Source: SourceFile, At: "quorate.yaml:12", Settings: []byte(`{"path":"/<f>"}`), InForce: true}, nil
	}
	d, ok := a.part.Set().Get(kind, name)
	if !ok {
		return Setting{}, fmt.Errorf("%s/%s: %w", kind, name, ErrNoSetting)
	}
	return a.setting(d), nil
}

func (a *agreed) List(kind settings.Kind) []Setting {
	var all []Setting
	for _, d := range a.part.Set().Of(kind) {
		all = append(all, a.setting(d))
	}
	return all
}

func (a *agreed) Put(_ context.Context, c SettingChange) (Setting, bool, error) {
	if strings.Contains(string(c.Body), "bad") {
		return Setting{}, false, &BadSetting{[]SettingProblem{{"checks.interval", `"5" is not a duration`, "5s"}, {"path", "is missing", "path: /mcp"}}}
	}
	command, err := settings.Put(c.Kind, c.Name, c.Body, c.Condition)
	if err != nil {
		return Setting{}, false, &BadSetting{[]SettingProblem{{"document", err.Error(), "something else"}}}
	}
	r, err := a.propose(c, command)
	return Setting{Kind: c.Kind, Name: c.Name, Source: SourceAPI, Revision: r.Revision, Settings: c.Body, InForce: true}, r.Created, err
}

func (a *agreed) Delete(_ context.Context, c SettingChange) error {
	command, err := settings.Delete(c.Kind, c.Name, c.Condition)
	if err == nil {
		_, err = a.propose(c, command)
	}
	return err
}

func (a *agreed) propose(c SettingChange, command []byte) (settings.Result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by = c.By; a.fail != nil {
		return settings.Result{}, fmt.Errorf("%s/%s: %w", c.Kind, c.Name, a.fail)
	}
	a.index++
	answer, err := a.part.Apply(a.index, command)
	if err != nil {
		return settings.Result{}, err
	}
	r, err := settings.DecodeResult(answer)
	switch {
	case errors.Is(err, settings.ErrPrecondition):
		return settings.Result{}, fmt.Errorf("%w: %w", ErrPrecondition, err)
	case errors.Is(err, settings.ErrUnknown):
		return settings.Result{}, ErrNoSetting
	}
	return r, err
}

// voting is three voters that can be changed.
type voting struct {
	given []VoterChange
	fail  error
}

func (v *voting) List() []Voter {
	return []Voter{{"eu-west", "voter", "eu", 3}, {"gw-1", "voter", "us", 3}, {"w", "witness", "ap", 7}}
}

func (v *voting) Put(_ context.Context, c VoterChange) (Voter, error) {
	v.given = append(v.given, c)
	return Voter{c.Name, c.Role, c.Region, 9}, v.fail
}

func (v *voting) Remove(_ context.Context, c VoterChange) error {
	v.given = append(v.given, c)
	return v.fail
}

// change makes one request with headers as pairs.
func change(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	return send(t, method, url, "application/json", strings.NewReader(body), headers...)
}

func TestSettings(t *testing.T) {
	c := config()
	c.Settings = newAgreed()
	base := serve(t, c)
	const a = `{"path":"/a"}`
	for i, tt := range []struct {
		method, path, body string
		headers            []string
		status             int
		etag, says         string
	}{
		{"GET", "/v1/services/a", "", nil, 404, "", `"not_found"`},
		{"PUT", "/v1/services/a", a, []string{"If-Match", "*"}, 412, "", `"precondition_failed"`},
		{"PUT", "/v1/services/a", a, []string{"If-None-Match", "*"}, 201, `"2"`, `"settings":{"path":"/a"}`},
		{"PUT", "/v1/services/a", a, []string{"If-None-Match", "*"}, 412, "", `at revision 2`},
		{"PUT", "/v1/services/a", a, nil, 200, `"2"`, `"revision":2`},
		{"PUT", "/v1/services/a", `{"path":"/b"}`, []string{"If-Match", `"1"`}, 412, "", `"precondition_failed"`},
		{"PUT", "/v1/services/a", `{"path":"/b"}`, []string{"If-Match", `W/"2"`}, 412, "", `"precondition_failed"`},
		{"PUT", "/v1/services/a", `{"path":"/b"}`, []string{"If-Match", `"x"`}, 412, "", `"precondition_failed"`},
		{"PUT", "/v1/services/a", `{"path":"/b"}`, []string{"If-Match", `"002"`}, 412, "", `"precondition_failed"`},
		{"PUT", "/v1/services/a", `{"path":"/b"}`, []string{"If-Match", `"9", "2"`}, 200, `"9"`, `"path":"/b"`},
		{"PUT", "/v1/services/a", `{"path":"/c"}`, []string{"If-Match", `"9"`, "If-None-Match", "*"}, 412, "", ""},
		{"GET", "/v1/services/a", "", nil, 200, `"9"`, `{"kind":"services","name":"a","source":"api","at":"","revision":9,"settings":{"path":"/b"},"in_force":true,"problems":[]}`},
		{"GET", "/v1/services/a", "", []string{"If-None-Match", `W/"9"`}, 304, `"9"`, ""},
		{"GET", "/v1/services/a", "", []string{"If-None-Match", `"8"`}, 200, `"9"`, ""},
		{"GET", "/v1/services/filed", "", []string{"If-None-Match", "*"}, 200, "", `"source":"file","at":"quorate.yaml:12","revision":0`},
		{"GET", "/v1/services", "", nil, 200, "", `{"services":[{"kind":"services","name":"a"`},
		{"GET", "/v1/routes", "", nil, 200, "", `{"routes":[]}`},
		{"GET", "/v1/services/a/b", "", nil, 404, "", "no such path"},
		{"GET", "/v1/services/a%2Fb", "", nil, 404, "", "no such path"},
		{"GET", "/v1/planets/a", "", nil, 404, "", "no such path"},
		{"GET", "/v1/planets", "", nil, 404, "", "no such path"},
		{"POST", "/v1/services/a", a, nil, 405, "", "DELETE, GET, HEAD, PUT"},
		{"PUT", "/v1/services/a", a, []string{"If-Match", `9`}, 400, "", "with its quotes"},
		{"PUT", "/v1/services/a", a, []string{"If-Match", ``}, 400, "", "with its quotes"},
		{"PUT", "/v1/services/a", a, []string{"If-Match", `*, "1"`}, 400, "", "with its quotes"},
		{"PUT", "/v1/services/a", a, []string{"If-Match", strings.Repeat(`"1",`, 20) + `"1"`}, 400, "", "at most 16"},
		{"PUT", "/v1/services/a", a, []string{"If-None-Match", `"9"`}, 400, "", "takes *"},
		{"DELETE", "/v1/services/a", "", []string{"If-Match", `1`}, 400, "", "with its quotes"},
		{"PUT", "/v1/services/a", "bad", nil, 400, "", `"problems":[{"attribute":"checks.interval","problem":"\"5\" is not a duration","write":"5s"},{"attribute":"path"`},
		{"PUT", "/v1/services/a", "[]", nil, 400, "", "not a JSON object"},
		{"PUT", "/v1/services/a", "{", nil, 400, "", "not a JSON object"},
		{"PUT", "/v1/services/a%20b", "{}", nil, 400, "", "not a name"},
		{"PUT", "/v1/services/a", `{"a":"` + strings.Repeat("x", settings.MaxBody) + `"}`, nil, 413, "", "64 KiB"},
		{"DELETE", "/v1/services/a", "", []string{"If-Match", `"2"`}, 412, "", `"precondition_failed"`},
		{"DELETE", "/v1/services/a", "", []string{"If-Match", `"9"`}, 204, "", ""},
		{"DELETE", "/v1/services/a", "", nil, 404, "", `"not_found"`},
		{"PUT", "/v1/strategies/split_brain", `{"strategy":"oldest_node"}`, nil, 201, "", "oldest_node"},
		{"PUT", "/v1/routes/10", `{"match":{"tool":"<*"}}`, nil, 201, "", ""},
		{"PUT", "/v1/regions/eu", `{"via":"direct"}`, nil, 201, "", ""},
	} {
		got := change(t, tt.method, base+tt.path, tt.body, tt.headers...)
		if got.status != tt.status || !strings.Contains(got.body, tt.says) || tt.etag != "" && got.header.Get("ETag") != tt.etag || tt.etag == "" && tt.status != 201 && got.header.Get("ETag") != "" {
			t.Errorf("%d: %s %s %.40s %v: %d %s %.300s; want %d %s %s", i, tt.method, tt.path, tt.body, tt.headers, got.status, got.header.Get("ETag"), got.body, tt.status, tt.etag, tt.says)
		}
		if got.status >= 400 && !json.Valid([]byte(got.body)) {
			t.Errorf("%d: not JSON: %s", i, got.body)
		}
	}
	if got := put(t, base+"/v1/services/b", "text/plain", "{}"); got.status != 400 || !strings.Contains(got.body, "application/json") {
		t.Errorf("text: %d %s", got.status, got.body)
	}
}

func TestChangesThatDoNotHappen(t *testing.T) {
	a, v := newAgreed(), &voting{}
	var given []Order
	c := fleet(&given)
	c.Settings, c.Voters = a, v
	base := serve(t, c)
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{
		{ErrInFile, 409, "in_file"},
		{ErrInUse, 409, "in_use"},
		{ErrNeedsRestart, 409, "needs_restart"},
		{ErrFull, 409, "full"},
		{ErrNoQuorum, 503, "no_quorum"},
		{ErrUnknownOutcome, 504, "unknown_outcome"},
		{context.DeadlineExceeded, 504, "unknown_outcome"},
		{ErrVoterRefused, 409, "refused"},
		{ErrNoVoter, 404, "not_found"},
		{errors.New("disk full"), 500, "failed"},
	} {
		a.fail, v.fail = tt.err, tt.err
		c.Order = func(Order) error { return tt.err }
		orders := serve(t, c)
		for _, got := range []answer{
			change(t, "PUT", base+"/v1/services/a", `{}`),
			change(t, "DELETE", base+"/v1/services/a", ``),
			change(t, "PUT", base+"/v1/voters/a", `{"role":"voter"}`),
			change(t, "DELETE", base+"/v1/voters/a", ``),
			change(t, "PUT", orders+"/v1/regions/eu-west/order", `{"state":"off"}`),
		} {
			if got.status != tt.status || !strings.Contains(got.body, `"code":"`+tt.code+`"`) || (got.header.Get("Retry-After") != "") != (tt.status == 503) {
				t.Errorf("%v: %d %s, Retry-After %q", tt.err, got.status, got.body, got.header.Get("Retry-After"))
			}
		}
	}
}

// Of writers that begin from one revision exactly one wins; the others get 412 and can begin again.
func TestWritersThatCompareDoNotOverwriteEachOther(t *testing.T) {
	c := config()
	c.Settings = newAgreed()
	base := serve(t, c) + "/v1/services/counter"
	const writers, rounds = 8, 25
	if got := change(t, "PUT", base, `{"n":0}`); got.status != 201 {
		t.Fatal(got)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	lost := 0
	for range writers {
		all.Go(func() {
			for done := 0; done < rounds; {
				now := change(t, "GET", base, "")
				var s struct {
					Settings struct{ N int } `json:"settings"`
				}
				if err := json.Unmarshal([]byte(now.body), &s); err != nil {
					t.Error(err)
					return
				}
				switch got := change(t, "PUT", base, fmt.Sprintf(`{"n":%d}`, s.Settings.N+1), "If-Match", now.header.Get("ETag")); got.status {
				case 200:
					done++
				case 412:
					mu.Lock()
					lost++
					mu.Unlock()
				default:
					t.Errorf("%d %s", got.status, got.body)
					return
				}
			}
		})
	}
	all.Wait()
	if got := change(t, "GET", base, ""); !strings.Contains(got.body, fmt.Sprintf(`"n":%d`, writers*rounds)) {
		t.Errorf("an update was lost: %s", got.body)
	}
	t.Logf("%d updates, %d refused with 412", writers*rounds, lost)
}

func TestVoters(t *testing.T) {
	c, v := config(), &voting{}
	c.Voters = v
	base := serve(t, c)
	for _, tt := range []struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		{"GET", "/v1/voters", "", nil, 200, `{"voters":[{"name":"eu-west","role":"voter","region":"eu","revision":3}`},
		{"GET", "/v1/voters/w", "", nil, 200, `{"name":"w","role":"witness","region":"ap","revision":7}`},
		{"GET", "/v1/voters/w", "", []string{"If-None-Match", `"7"`}, 304, ""},
		{"GET", "/v1/voters/none", "", nil, 404, `"not_found"`},
		{"PUT", "/v1/voters/gw-2", `{"role":"voter"}`, nil, 200, `"revision":9`},
		{"PUT", "/v1/voters/gw-2", `{"role":"witness","region":"eu"}`, []string{"If-Match", `"3"`}, 200, ""},
		{"PUT", "/v1/voters/gw-2", `{"role":"member"}`, nil, 400, `"attribute":"role"`},
		{"PUT", "/v1/voters/gw-2", `{"role":"voter","vote":1}`, nil, 400, `"attribute":"document"`},
		{"PUT", "/v1/voters/gw-2", `{"role":"voter"}{}`, nil, 400, "behind"},
		{"PUT", "/v1/voters/gw-2", ``, nil, 400, ""},
		{"PUT", "/v1/voters/" + strings.Repeat("a", 65), `{"role":"voter"}`, nil, 400, `"attribute":"name"`},
		{"PUT", "/v1/voters/a", `{"role":"voter","region":"` + strings.Repeat("a", 65) + `"}`, nil, 400, `"attribute":"region"`},
		{"PUT", "/v1/voters/gw-2", `{"role":"voter"}`, []string{"If-Match", "3"}, 400, "quotes"},
		{"DELETE", "/v1/voters/gw-2", ``, []string{"If-Match", `"9"`}, 204, ""},
	} {
		if got := change(t, tt.method, base+tt.path, tt.body, tt.headers...); got.status != tt.status || !strings.Contains(got.body, tt.says) {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, got.status, got.body)
		}
	}
	if len(v.given) != 3 || v.given[1].Role != "witness" || v.given[1].Region != "eu" || v.given[1].Condition.Revisions[0] != 3 || v.given[2].Condition.Revisions[0] != 9 ||
		!strings.HasPrefix(v.given[0].By, "admin from 127.0.0.1:") {
		t.Errorf("%+v", v.given)
	}
}

// Settings are behind the door as everything is, and cannot be changed by another site's page.
func TestSettingsAreBehindTheDoor(t *testing.T) {
	c, a := config(), newAgreed()
	c.Settings, c.Token = a, word("secret")
	base := serve(t, c)
	if got := change(t, "PUT", base+"/v1/services/a", `{}`); got.status != 401 {
		t.Errorf("without a token: %d", got.status)
	}
	if got := change(t, "PUT", base+"/v1/services/a", `{}`, "Authorization", "Bearer secret", "Origin", "https://evil.example"); got.status != 403 {
		t.Errorf("from another site: %d", got.status)
	}
	if got := change(t, "PUT", base+"/v1/services/a", `{}`, "Authorization", "Bearer secret"); got.status != 201 || !strings.HasPrefix(a.by, "token from ") {
		t.Errorf("with a token: %d, by %q", got.status, a.by)
	}
}

func TestSettingsAreTold(t *testing.T) {
	var given []Order
	c, a := fleet(&given), newAgreed()
	c.Settings = a
	c.Status = func() Status {
		return Status{Settings: &SettingsStatus{Revision: 5, Skipped: []Setting{{Kind: "routes", Name: "r", Settings: []byte(`{}`)}}}}
	}
	base := serve(t, c)
	change(t, "PUT", base+"/v1/regions/ap", `{"via":"direct"}`)
	if got := change(t, "GET", base+"/v1/regions", ""); !strings.Contains(got.body, `"settings":[{"kind":"regions","name":"ap"`) {
		t.Errorf("regions: %s", got.body)
	}
	if got := change(t, "GET", base+"/v1/status", ""); !strings.Contains(got.body, `"settings":{"revision":5,"skipped":[{"kind":"routes","name":"r"`) || !strings.Contains(got.body, `"problems":[]`) {
		t.Errorf("status: %s", got.body)
	}
}
