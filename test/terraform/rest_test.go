package terraform_test

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
)

// A fourth gateway gets a vote, gives it back, and gets it again when somebody else took it.
func TestVoter(t *testing.T) {
	f := three(t)
	g := f.add("gw-4", "sa")
	g.late = true
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	a, b := f.gateways[0], f.gateways[1]
	hcl := "resource \"quorate_voter\" \"it\" {\n  name = \"gw-4\"\n%s}\n"
	again := regexp.MustCompile("terraform import")
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: []resource.TestStep{
		{Config: a.at("resource \"quorate_voter\" \"it\" {\n  name = \"gw-1\"\n}\n"), ExpectError: again},
		{Config: a.at("resource \"quorate_voter\" \"it\" {\n  name = \"gw-9\"\n}\n"), ExpectError: regexp.MustCompile("quorate_voter.it")},
		{Config: a.at(hcl, ""), ConfigPlanChecks: empty(), Check: resource.ComposeTestCheckFunc(kept, resource.TestCheckResourceAttr("quorate_voter.it", "region", "sa"), resource.TestCheckResourceAttr("quorate_voter.it", "role", "voter"))},
		{ResourceName: "quorate_voter.it", ImportState: true, ImportStateId: "gw-4", ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name"},
		{Config: b.at(hcl, "  declared = 4\n"), ConfigPlanChecks: empty()},
		{ // somebody took its vote
			PreConfig:        func() { b.change(http.MethodDelete, "/v1/voters/gw-4", "") },
			Config:           a.at(hcl, "  declared = 4\n"),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction("quorate_voter.it", plancheck.ResourceActionCreate)}},
		},
	}})
	f.await("the vote is gone", func() bool {
		code, _ := a.ask(http.MethodGet, "/v1/voters/gw-4", "")
		return code == http.StatusNotFound
	})
}

// The data sources read a real fleet.
func TestDataSources(t *testing.T) {
	f := three(t)
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: []resource.TestStep{{
		Config: f.gateways[0].at("data \"quorate_cluster\" \"it\" {}\ndata \"quorate_nodes\" \"it\" {}\n"),
		Check: resource.ComposeTestCheckFunc(kept,
			resource.TestCheckResourceAttr("data.quorate_cluster.it", "gateways.#", "3"),
			resource.TestCheckResourceAttr("data.quorate_cluster.it", "gateway", "gw-1"),
			resource.TestCheckResourceAttr("data.quorate_cluster.it", "rule.words", "2 of (gw-1, gw-2, gw-3)"),
			resource.TestCheckResourceAttr("data.quorate_nodes.it", "nodes.0.service", "tools"),
			resource.TestCheckResourceAttr("data.quorate_nodes.it", "nodes.0.url", f.node),
		),
	}}})
}

func output(expression string) string { return "output \"it\" {\n  value = " + expression + "\n}\n" }

// The functions need no fleet; what is wrong fails the plan and is named.
func TestFunctions(t *testing.T) {
	needsTerraform(t)
	const voters = `{ a = "us", b = "eu", c = "ap" }`
	for expression, want := range map[string]string{
		`provider::quorate::quorum_check("winner_takes_all", ` + voters + `).words`:                                                                                                                   "2 of (a, b, c)",
		`provider::quorate::quorum_check(jsonencode({ need = 2, members = [for v in ["a", "b", "c"] : { voter = v, weight = 1 }] }), ` + voters + `).words`:                                           "2 of (a, b, c)",
		`provider::quorate::quorum_check("configured_master:b", ` + voters + `).words`:                                                                                                                "b",
		`yamldecode(provider::quorate::gateway_config({ name = "gw-1", region = "us", services = [{ name = "t", path = "/mcp", discover = [{ static = { nodes = [] } }] }], data_dir = null })).name`: "gw-1",
	} {
		resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: []resource.TestStep{
			{Config: output(expression), Check: resource.TestCheckOutput("it", want)},
		}})
	}
	for expression, want := range map[string]string{
		`provider::quorate::quorum_check(jsonencode({ need = 1, members = [for v in ["a", "b", "c"] : { voter = v, weight = 1 }] }), ` + voters + `)`: `(?s)two\s+sides\s+could\s+both\s+write`,
		`provider::quorate::quorum_check("winer_takes_all", ` + voters + `)`:                                                                          `(?s)no\s+built-in\s+strategy`,
		`provider::quorate::gateway_config({ name = "gw-1", region = "us", listn = {} })`:                                                             `listn`,
		`provider::quorate::gateway_config({ name = "gw-1", region = "us", services = [{ name = "t", path = "mcp", discover = [] }] })`:               `services\[0\].path`,
	} {
		resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: []resource.TestStep{
			{Config: output(expression), ExpectError: regexp.MustCompile(want)},
		}})
	}
}

// What would leave no region in service, or nobody who may write, fails and says what to do first.
func TestRegionsThatAreNeeded(t *testing.T) {
	f := three(t)
	a, c := f.gateways[0], f.gateways[2]
	region := func(state string) string {
		return fmt.Sprintf("resource \"quorate_region\" \"it\" {\n  name = \"ap\"\n  gateways = [%q]\n  state = %q\n  evacuation_time = \"0s\"\n  drain_timeout = \"5s\"\n}\n", c.peer, state)
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: []resource.TestStep{
		{Config: a.at("%s", region("on")), ConfigPlanChecks: empty()},
		{ // the only other region is drained by somebody else
			PreConfig:   func() { a.change(http.MethodPut, "/v1/regions/us/order", `{"state":"draining","over":"0s"}`) },
			Config:      a.at("%s", region("off")),
			ExpectError: regexp.MustCompile(`(?s)last\s+region\s+in\s+service`),
		},
		{Config: a.at("# none\n"), ExpectError: regexp.MustCompile(`(?s)last\s+region\s+in\s+service`)},
		{ // the rule needs the region's voter
			PreConfig: func() {
				a.change(http.MethodPut, "/v1/regions/us/order", `{"state":"on"}`)
				a.change(http.MethodPut, "/v1/strategies/split_brain", `{"strategy":"configured_master","master":"gw-3"}`)
				f.await("the rule is gw-3", func() bool {
					_, text := a.ask(http.MethodGet, "/v1/cluster", "")
					return regexp.MustCompile(`"words":"[^"]*gw-3"`).Match(text) && !regexp.MustCompile(`"words":"[^"]*gw-1`).Match(text)
				})
			},
			Config:      a.at("%s", region("off")),
			ExpectError: regexp.MustCompile(`(?s)Writes\s+need.*gw-3`),
		},
		{Config: a.at("# none\n"), ExpectError: regexp.MustCompile(`(?s)cannot\s+be\s+destroyed.*Writes\s+need`)},
		{ // and can go when it is needed no more
			PreConfig: func() {
				a.change(http.MethodDelete, "/v1/strategies/split_brain", "")
				f.await("the rule is of three", func() bool {
					_, text := a.ask(http.MethodGet, "/v1/cluster", "")
					return regexp.MustCompile(`"words":"2 of`).Match(text)
				})
			},
			Config: a.at("%s", region("off")), ConfigPlanChecks: empty(),
		},
	}})
}
