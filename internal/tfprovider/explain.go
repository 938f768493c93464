package tfprovider

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/quorate/quorate/internal/adminclient"
)

// explain says what a refusal means for whoever applies, and what to do.
func (d *document) explain(to *diag.Diagnostics, name string, err error) {
	var no *adminclient.Refusal
	if errors.As(err, &no) && len(no.Problems) > 0 {
		for _, p := range no.Problems {
			d.problem(to, p.Attribute, p.Problem, p.Write)
		}
		return
	}
	explain(to, d.noun, name, err)
}

// outside says why the gateway does not let the provider in, if that is what an error means.
func outside(to *diag.Diagnostics, err error) bool {
	var no *adminclient.Refusal
	switch {
	case errors.Is(err, adminclient.ErrCertificate):
		to.AddError("The gateway and this provider do not take each other's certificates", err.Error())
	case errors.As(err, &no) && (no.Code == "unauthorized" || no.Code == "forbidden"):
		to.AddError("The gateway does not let this provider in", no.Message+". Check token, token_file, or cert_file and key_file of the provider.")
	default:
		return false
	}
	return true
}

func explain(to *diag.Diagnostics, noun, name string, err error) {
	if outside(to, err) {
		return
	}
	what, at := noun+" "+name, path.Root("name")
	var no *adminclient.Refusal
	if !errors.As(err, &no) {
		to.AddAttributeError(at, "No gateway answered about the "+what,
			err.Error()+". Whether the change happened is not known; plan again when a gateway answers.")
		return
	}
	switch no.Code {
	case "precondition_failed":
		to.AddAttributeError(at, "Conflict: the "+what+" was changed by somebody else",
			no.Message+". Nothing of it was changed here. Plan again to see what it is now; for one that is there already and not in this state, use terraform import.")
	case "no_quorum":
		to.AddAttributeError(at, "This gateway may not change the "+what+" now",
			no.Message+". Settings are agreed on by a majority of the control group, and the gateway that was asked reaches none. Ask a gateway on the other side, or apply again when it does.")
	case "unknown_outcome":
		to.AddAttributeError(at, "Whether the "+what+" was changed is not known", no.Message+". Plan again: what happened is seen then.")
	case "needs_restart":
		to.AddAttributeError(at, "The "+what+" cannot change in place", no.Message+". Or replace it: terraform apply -replace removes it and puts it again.")
	case "in_file":
		to.AddAttributeError(at, "The "+what+" stands in a gateway's file", no.Message+". Remove it from the file or from this configuration.")
	default:
		to.AddAttributeError(at, "The gateway refuses the "+what, fmt.Sprintf("%s (%d %s)", no.Message, no.Status, no.Code))
	}
}

func tftypesNumber(v tftypes.Value) uint64 {
	var n big.Float
	if v.As(&n) != nil {
		return 0
	}
	whole, _ := n.Uint64()
	return whole
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
