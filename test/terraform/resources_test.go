package terraform_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	state "github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/quorate/quorate/internal/tfprovider"
)

func factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"quorate": providerserver.NewProtocol6WithError(provider.Provider(&tfprovider.Provider{Version: "test"})),
	}
}

// at is a configuration behind a provider that asks that gateway.
func (g *gateway) at(hcl string, args ...any) string {
	return fmt.Sprintf("provider \"quorate\" {\n  address = %q\n  token = %q\n  patience = \"10s\"\n}\n", g.admin, token) + fmt.Sprintf(hcl, args...)
}

// kept checks that no attribute of any resource holds the token.
func kept(s *state.State) error {
	text, err := json.Marshal(s)
	if err == nil && strings.Contains(string(text), token) {
		err = fmt.Errorf("the state holds the token")
	}
	return err
}

// empty is a plan right after an apply.
func empty() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}, PostApplyPreRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

// life takes a resource through create, an empty plan, import, update, drift and destroy.
type life struct {
	address, path         string // of the resource, and of the document
	first, second         string // HCL
	wantFirst, wantSecond string // what the group holds then
	drift                 string // what somebody else puts meanwhile
	ignore                []string
}

func (l life) run(t *testing.T, f *fleet) {
	a, b := f.gateways[0], f.gateways[1]
	holds := func(want string) resource.TestCheckFunc {
		return func(*state.State) error {
			if got := b.settings(l.path); got != want {
				return fmt.Errorf("another gateway holds %s, want %s", got, want)
			}
			return nil
		}
	}
	name := l.path[strings.LastIndex(l.path, "/")+1:]
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy: func(*state.State) error {
			if got := a.settings(l.path); got != "" {
				return fmt.Errorf("it is still there: %s", got)
			}
			return nil
		},
		Steps: []resource.TestStep{
			{Config: a.at("%s", l.first), ConfigPlanChecks: empty(), Check: resource.ComposeTestCheckFunc(eventually(f, holds(l.wantFirst)), kept)},
			{ResourceName: l.address, ImportState: true, ImportStateId: name, ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name", ImportStateVerifyIgnore: l.ignore},
			{Config: b.at("%s", l.second), ConfigPlanChecks: empty(), Check: resource.ComposeTestCheckFunc(eventually(f, holds(l.wantSecond)), kept)},
			{ // drift is seen, and mended
				PreConfig: func() { b.change(http.MethodPut, l.path, l.drift) },
				Config:    a.at("%s", l.second),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(l.address, plancheck.ResourceActionUpdate)},
					PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
				Check: eventually(f, holds(l.wantSecond)),
			},
			{ // what somebody else removed is made again
				PreConfig:        func() { b.change(http.MethodDelete, l.path, "") },
				Config:           a.at("%s", l.second),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(l.address, plancheck.ResourceActionCreate)}},
				Check:            eventually(f, holds(l.wantSecond)),
			},
		},
	})
}

// eventually gives another gateway a moment to follow.
func eventually(f *fleet, check resource.TestCheckFunc) resource.TestCheckFunc {
	return func(s *state.State) error {
		f.await("the check holds", func() bool { return check(s) == nil })
		return nil
	}
}

func TestResources(t *testing.T) {
	f := three(t)
	for name, l := range map[string]life{
		"service": {
			address: "quorate_service.it", path: "/v1/services/search",
			first:      fmt.Sprintf(`resource "quorate_service" "it" { name = "search", path = "/search", discover = [{ static = { nodes = [{ id = "a", url = %q }] } }], limits = { max = 100 } }`, f.node),
			second:     fmt.Sprintf(`resource "quorate_service" "it" { name = "search", path = "/find", discover = [{ static = { nodes = [{ id = "a", url = %q, weight = 2 }] } }], limits = { max = 100 }, class = "fast" }`, f.node),
			wantFirst:  fmt.Sprintf(`{"discover":[{"static":{"nodes":[{"id":"a","url":%q}]}}],"limits":{"max":100},"path":"/search"}`, f.node),
			wantSecond: fmt.Sprintf(`{"class":"fast","discover":[{"static":{"nodes":[{"id":"a","url":%q,"weight":2}]}}],"limits":{"max":100},"path":"/find"}`, f.node),
			drift:      fmt.Sprintf(`{"path":"/elsewhere","discover":[{"static":{"nodes":[{"id":"b","url":%q}]}}],"limits":{"max":100}}`, f.node),
		},
		"route": {
			address: "quorate_route.it", path: "/v1/routes/charge",
			first:      `resource "quorate_route" "it" { name = "charge", match = { tool = "charge_*" }, retry_class = "once" }`,
			second:     `resource "quorate_route" "it" { name = "charge", match = { tool = "charge_*" }, retry_class = "once", ledger = "on", class = "fast", spill = "strict", deadline = "1500ms", limit = 7 }`,
			wantFirst:  `{"match":{"tool":"charge_*"},"retry_class":"once"}`,
			wantSecond: `{"class":"fast","deadline":"1500ms","ledger":"on","limit":7,"match":{"tool":"charge_*"},"retry_class":"once","spill":"strict"}`,
			drift:      `{"match":{"tool":"charge_*"},"retry_class":"retry"}`,
		},
		"replication": {
			address: "quorate_strategy.it", path: "/v1/strategies/replication",
			first:      `resource "quorate_strategy" "it" { name = "replication", strategy = "async", factor = 1 }`,
			second:     `resource "quorate_strategy" "it" { name = "replication", strategy = "quorum", timeout = "2s" }`,
			wantFirst:  `{"factor":1,"strategy":"async"}`,
			wantSecond: `{"strategy":"quorum","timeout":"2s"}`,
			drift:      `{"strategy":"async"}`,
		},
		"split_brain": {
			address: "quorate_strategy.it", path: "/v1/strategies/split_brain",
			first:      `resource "quorate_strategy" "it" { name = "split_brain", strategy = "region_majority" }`,
			second:     `resource "quorate_strategy" "it" { name = "split_brain", strategy = "winner_takes_all", options = { note = "x" } }`,
			wantFirst:  `{"strategy":"region_majority"}`,
			wantSecond: `{"options":{"note":"x"},"strategy":"winner_takes_all"}`,
			drift:      `{"strategy":"region_majority"}`,
		},
		"region": {
			address: "quorate_region.it", path: "/v1/regions/ap", ignore: []string{"evacuation_time", "drain_timeout"},
			first:      fmt.Sprintf(`resource "quorate_region" "it" { name = "ap", gateways = [%q], evacuation_time = "0s", drain_timeout = "20s" }`, f.gateways[2].peer),
			second:     fmt.Sprintf(`resource "quorate_region" "it" { name = "ap", gateways = [%q], capacity = 50, evacuation_time = "0s", drain_timeout = "20s", state = "draining" }`, f.gateways[2].peer),
			wantFirst:  fmt.Sprintf(`{"gateways":[%q]}`, f.gateways[2].peer),
			wantSecond: fmt.Sprintf(`{"capacity":50,"gateways":[%q]}`, f.gateways[2].peer),
			drift:      fmt.Sprintf(`{"gateways":[%q],"capacity":51}`, f.gateways[2].peer),
		},
	} {
		t.Run(name, func(t *testing.T) {
			of := *f
			of.t = t
			l.first, l.second = lines(l.first), lines(l.second)
			l.run(t, &of)
		})
	}
}

// lines writes a block of one line as HCL wants it.
func lines(hcl string) string {
	head, rest, _ := strings.Cut(hcl, " { ")
	depth, out := 0, strings.Builder{}
	for _, c := range strings.TrimSuffix(rest, " }") {
		switch {
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 0:
			out.WriteString("\n ")
			continue
		}
		out.WriteRune(c)
	}
	return head + " {\n  " + out.String() + "\n}\n"
}

func TestPlanSaysWhatIsWrong(t *testing.T) {
	f := three(t)
	for hcl, want := range map[string]string{
		`resource "quorate_route" "it" { name = "x", match = { tool = "a" }, retry_class = "twice" }`:                                        `retry_class`,
		`resource "quorate_route" "it" { name = "x", match = { tool = "[" } }`:                                                               `match.tool`,
		`resource "quorate_route" "it" { name = "not a name", match = { tool = "a" } }`:                                                      `name`,
		`resource "quorate_service" "it" { name = "x", path = "x", discover = [] }`:                                                          `path`,
		`resource "quorate_service" "it" { name = "x", path = "/x", discover = [{ static = { nodes = [{ id = "a", url = "ftp://x" }] } }] }`: `discover\[0\].static.nodes\[0\].url`,
		`resource "quorate_region" "it" { name = "x", gateways = ["127.0.0.1"] }`:                                                            `gateways\[0\]`,
		`resource "quorate_region" "it" { name = "x", gateways = ["127.0.0.1:1"], state = "gone" }`:                                          `state: gone`,
		`resource "quorate_strategy" "it" { name = "split_brain", strategy = "mine" }`:                                                       `strategy`,
		`resource "quorate_strategy" "it" { name = "replication", strategy = "async", factor = 99 }`:                                         `factor`,
		`resource "quorate_voter" "it" { name = "x", role = "boss" }`:                                                                        `role: boss`,
	} {
		resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: []resource.TestStep{
			{Config: f.gateways[0].at("%s", lines(hcl)), PlanOnly: true, ExpectError: regexp.MustCompile(want)},
		}})
	}
}
