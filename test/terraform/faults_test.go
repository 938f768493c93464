package terraform_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

const providerHCL = "provider \"quorate\" {}\n"

func routes(n int, class string) string {
	return fmt.Sprintf(`resource "quorate_route" "all" {
  count       = %d
  name        = "route-${count.index}"
  match       = { tool = "tool_${count.index}" }
  retry_class = %q
}
`, n, class)
}

// Two plans of one revision: one apply wins, the other is told, and what won stays.
func TestConcurrentApplies(t *testing.T) {
	f := three(t)
	hcl := func(limit int) string {
		return providerHCL + fmt.Sprintf("resource \"quorate_route\" \"it\" {\n  name = \"charge\"\n  match = { tool = \"charge_*\" }\n  limit = %d\n}\n", limit)
	}
	first := newWorkspace(t, hcl(1))
	first.apply(f.gateways[0])
	first.holdsNot(token)
	second := newWorkspace(t, hcl(2))
	if out, err := second.run(second.through(f.gateways[1]), "apply", "-auto-approve"); err == nil || !strings.Contains(out, "terraform import") {
		t.Fatalf("what is there already was taken over: %v\n%s", err, out)
	}
	if out, err := second.run(second.through(f.gateways[1]), "import", "quorate_route.it", "charge"); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	for limit, w := range map[int]*workspace{3: first, 4: second} {
		w.write("main.tf", required+hcl(limit))
		if out, err := w.run(w.through(f.gateways[limit-2]), "plan", "-out=plan"); err != nil {
			t.Fatal(err, out)
		}
		w.holdsNot(token)
	}
	type outcome struct {
		limit int
		out   string
		err   error
	}
	all := make(chan outcome, 2)
	for limit, w := range map[int]*workspace{3: first, 4: second} {
		go func() {
			out, err := w.run(w.through(f.gateways[limit-2]), "apply", "plan")
			all <- outcome{limit, out, err}
		}()
	}
	a, b := <-all, <-all
	if b.err == nil {
		a, b = b, a
	}
	if a.err != nil || b.err == nil {
		t.Fatalf("one must win and one lose: %v, %v\n%s\n%s", a.err, b.err, a.out, b.out)
	}
	if !strings.Contains(b.out, "Conflict: the route charge was changed by somebody else") {
		t.Errorf("the other is told: %s", b.out)
	}
	want := fmt.Sprintf(`{"limit":%d,"match":{"tool":"charge_*"}}`, a.limit)
	f.await("what won is there", func() bool { return f.gateways[2].settings("/v1/routes/charge") == want })
}

// A gateway without a majority refuses and says why; nothing is half applied, and the same apply goes through when the
// others are back.
func TestMinorityRefuses(t *testing.T) {
	f := three(t)
	a, b, c := f.gateways[0], f.gateways[1], f.gateways[2]
	w := newWorkspace(t, "provider \"quorate\" {\n  patience = \"2s\"\n}\n"+routes(3, "once"))
	w.apply(a)
	b.process.Kill()
	c.process.Kill()
	f.await("the gate closes", func() bool {
		code, _ := a.ask(http.MethodGet, "/writez", "")
		return code == http.StatusServiceUnavailable
	})
	w.write("main.tf", required+"provider \"quorate\" {\n  patience = \"2s\"\n}\n"+routes(3, "retry"))
	out, err := w.run(w.through(a), "apply", "-auto-approve")
	if err == nil || !strings.Contains(out, "This gateway may not change the route") || !strings.Contains(out, "with quorate_route.all") {
		t.Fatalf("a minority changed something, or does not say why: %v\n%s", err, out)
	}
	for i := range 3 {
		if got := a.settings(fmt.Sprintf("/v1/routes/route-%d", i)); !strings.Contains(got, `"once"`) {
			t.Errorf("half applied: %s", got)
		}
	}
	for _, g := range []*gateway{b, c} {
		if err := g.start(); err != nil {
			t.Fatal(err)
		}
	}
	f.writable(a, b, c)
	w.apply(a)
	if got := a.settings("/v1/routes/route-2"); !strings.Contains(got, `"retry"`) {
		t.Errorf("not converged: %s", got)
	}
}

// The leader, then the gateway that is asked, are killed in the middle of an apply.
func TestKillInTheMiddle(t *testing.T) {
	const many = 30
	f := three(t)
	leader := f.leader()
	asked := f.gateways[0]
	if asked == leader {
		asked = f.gateways[1]
	}
	w := newWorkspace(t, providerHCL+routes(many, "once"))
	begun := func(g *gateway, name string) func() bool { return func() bool { return g.settings(name) != "" } }
	done := make(chan string, 1)
	go func() {
		out, err := w.run(w.through(asked), "apply", "-auto-approve", "-parallelism=2")
		done <- fmt.Sprint(err, out)
	}()
	f.await("the apply has begun", begun(asked, "/v1/routes/route-1"))
	leader.process.Kill()
	t.Logf("with the leader killed: %.80s", <-done)
	w.apply(asked) // whatever became of it, a re-run converges

	w.write("main.tf", required+providerHCL+routes(many, "retry"))
	go func() {
		out, err := w.run(w.through(asked), "apply", "-auto-approve", "-parallelism=2")
		done <- fmt.Sprint(err, out)
	}()
	f.await("the apply has begun", func() bool { return strings.Contains(asked.settings("/v1/routes/route-1"), "retry") })
	if err := leader.start(); err != nil {
		t.Fatal(err)
	}
	asked.process.Kill()
	t.Logf("with the gateway killed that was asked: %.80s", <-done)
	other := f.gateways[2]
	f.writable(leader, other)
	w.apply(other)
	for i := range many {
		if got := other.settings(fmt.Sprintf("/v1/routes/route-%d", i)); !strings.Contains(got, `"retry"`) {
			t.Errorf("route %d is %s", i, got)
		}
	}
}

// The gateway links nothing of the provider.
func TestGatewayHasNoTerraform(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "../../cmd/quorate", "../../cmd/quorate-bench").Output()
	if err != nil || len(out) < 1000 {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		if strings.Contains(dep, "terraform") || strings.Contains(dep, "tfprovider") || strings.HasPrefix(dep, "k8s.io/") {
			t.Errorf("linked: %s", dep)
		}
	}
}
