package terraform_test

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"

	"github.com/quorate/quorate/internal/config"
)

// decoded are the plain manifests, each decoded strictly into its type.
type decoded struct {
	configs  []core.ConfigMap
	services []core.Service
	sets     []apps.StatefulSet
	budgets  []policy.PodDisruptionBudget
	policies []networking.NetworkPolicy
}

func (d *decoded) take(text []byte) error {
	var kind struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return err
	}
	switch kind.APIVersion + "/" + kind.Kind {
	case "v1/ConfigMap":
		return strictly(text, &d.configs)
	case "v1/Service":
		return strictly(text, &d.services)
	case "apps/v1/StatefulSet":
		return strictly(text, &d.sets)
	case "policy/v1/PodDisruptionBudget":
		return strictly(text, &d.budgets)
	case "networking.k8s.io/v1/NetworkPolicy":
		return strictly(text, &d.policies)
	}
	return os.ErrInvalid
}

func strictly[T any](text []byte, into *[]T) error {
	var one T
	err := yaml.UnmarshalStrict(text, &one)
	*into = append(*into, one)
	return err
}

func plainManifests(t *testing.T) *decoded {
	t.Helper()
	text, err := os.ReadFile(manifests)
	if err != nil {
		t.Fatal(err)
	}
	d := new(decoded)
	for i, one := range strings.Split(string(text), "\n---\n") {
		if err := d.take([]byte(one)); err != nil {
			t.Errorf("manifest %d: %v\n%.200s", i, err, one)
		}
	}
	if len(d.configs) != 1 || len(d.services) != 2 || len(d.sets) != 1 || len(d.budgets) != 1 || len(d.policies) != 1 {
		t.Fatalf("%d, %d, %d, %d, %d of each kind", len(d.configs), len(d.services), len(d.sets), len(d.budgets), len(d.policies))
	}
	return d
}

// A key that Kubernetes does not know is found.
func TestManifestsAreDecodedStrictly(t *testing.T) {
	plainManifests(t)
	if err := new(decoded).take([]byte("apiVersion: v1\nkind: Service\nspec: {porst: []}\n")); err == nil {
		t.Error("a misspelt key passes")
	}
}

// Ports, probes, variables and flags are what the binary has.
func TestManifestsAgreeWithTheBinary(t *testing.T) {
	d := plainManifests(t)
	cfg, err := config.Check("quorate.yaml", []byte(d.configs[0].Data["quorate.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	pod := d.sets[0].Spec.Template.Spec
	c := pod.Containers[0]
	ports := map[string]string{}
	for _, key := range config.Keys() {
		if key.Name == "listen" || key.Name == "admin" {
			ports[key.Name] = port(key.Keys[0].Default)
		}
	}
	ports["peer"] = port(cfg.Peer.Address)
	for _, p := range c.Ports {
		if want := ports[p.Name]; want != itoa(p.ContainerPort) {
			t.Errorf("port %s is %d, and %s by default", p.Name, p.ContainerPort, want)
		}
	}
	if port(cfg.Listen.Address) != ports["listen"] || port(cfg.Admin.Address) != ports["admin"] || len(c.Ports) != 3 {
		t.Errorf("the file listens at %s and %s, the container at %v", cfg.Listen.Address, cfg.Admin.Address, c.Ports)
	}
	api, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if !strings.Contains(string(api), "\n  "+p.HTTPGet.Path+":\n") || p.HTTPGet.Port.StrVal != "admin" {
			t.Errorf("probe %v is not the admin listener's", p.HTTPGet)
		}
	}
	known := environment(config.Keys())
	for _, e := range c.Env {
		if !slices.Contains(known, e.Name) {
			t.Errorf("no key has the variable %s", e.Name)
		}
	}
	help, err := exec.CommandContext(t.Context(), binary, c.Args[0], "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(help), c.Args[1]+" ") {
		t.Errorf("quorate %v: %v\n%s", c.Args, err, help)
	}
	if grace := *pod.TerminationGracePeriodSeconds; float64(grace) <= cfg.Shutdown.Drain.Seconds() {
		t.Errorf("a pod is killed after %d s, while requests may take %s", grace, cfg.Shutdown.Drain)
	}
}

// Kubernetes describes every Service of a namespace in the variables of its pods, unless told not to. Those of Services whose
// names begin with quorate look like settings, and a gateway that is told an unknown one does not start.
func TestPodsAreNotToldOfServices(t *testing.T) {
	d := plainManifests(t)
	if links := d.sets[0].Spec.Template.Spec.EnableServiceLinks; links != nil && !*links {
		return
	}
	known := environment(config.Keys())
	for _, s := range d.services {
		name := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_SERVICE_HOST"
		if s.Spec.ClusterIP != core.ClusterIPNone && strings.HasPrefix(name, "QUORATE_") && !slices.Contains(known, name) {
			t.Errorf("the pods are told %s, and do not start", name)
		}
	}
}

func environment(keys []config.Key) (all []string) {
	for _, k := range keys {
		if k.Env != "" {
			all = append(all, k.Env)
		}
		all = append(all, environment(k.Keys)...)
	}
	return all
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }
