package tfprovider

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"go.yaml.in/yaml/v3"

	"github.com/quorate/quorate/internal/config"
)

// gatewayConfig is provider::quorate::gateway_config.
type gatewayConfig struct{}

func newGatewayConfig() function.Function { return gatewayConfig{} }

// Metadata implements function.Function.
func (gatewayConfig) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "gateway_config"
}

// Definition implements function.Function.
func (gatewayConfig) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Render a gateway's configuration file",
		MarkdownDescription: "Returns the YAML of a gateway's configuration file, judged by the gateway's own rules: an error names each key with what is wrong and what to write. Keys are those of [the file](../configuration.md); nulls are left out. Files that it names are not looked for, since they are on the gateway's machine.",
		Parameters: []function.Parameter{function.DynamicParameter{
			Name: "config", MarkdownDescription: "An object with the keys of the file.",
		}},
		Return: function.StringReturn{},
	}
}

// Run implements function.Function.
func (gatewayConfig) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var arg types.Dynamic
	if resp.Error = req.Arguments.Get(ctx, &arg); resp.Error != nil {
		return
	}
	text, err := render(ctx, arg)
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, err.Error())
		return
	}
	resp.Error = resp.Result.Set(ctx, text)
}

func render(ctx context.Context, arg attr.Value) (string, error) {
	raw, err := arg.ToTerraformValue(ctx)
	if err != nil {
		return "", fmt.Errorf("the configuration cannot be read: %w", err)
	}
	tree, err := plain(raw)
	if err != nil {
		return "", fmt.Errorf("the configuration cannot be read: %w", err)
	}
	if _, ok := tree.(map[string]any); !ok {
		return "", errors.New("the configuration is no object; write { name = ..., region = ..., ... }")
	}
	text, err := yaml.Marshal(tree)
	if err != nil {
		return "", fmt.Errorf("the configuration cannot be written: %w", err)
	}
	_, err = config.Check("gateway_config", text)
	var problems config.Problems
	if errors.As(err, &problems) {
		lines := make([]string, len(problems))
		for i, p := range problems {
			lines[i] = fmt.Sprintf("%s: %s; write %s", p.Key, p.What, p.Write)
		}
		return "", errors.New("the gateway would refuse this configuration:\n" + strings.Join(lines, "\n"))
	}
	return string(text), err
}

// plain is a value of Terraform's as YAML has it: nulls left out, whole numbers whole.
func plain(v tftypes.Value) (any, error) {
	if v.IsNull() {
		return nil, nil //nolint:nilnil // a null is a value
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		var s string
		err := v.As(&s)
		return s, err
	case t.Is(tftypes.Bool):
		var b bool
		err := v.As(&b)
		return b, err
	case t.Is(tftypes.Number):
		var n big.Float
		err := v.As(&n)
		if whole, exact := n.Int64(); exact == big.Exact {
			return whole, err
		}
		f, _ := n.Float64()
		return f, err
	case t.Is(tftypes.Object{}), t.Is(tftypes.Map{}):
		var all map[string]tftypes.Value
		if err := v.As(&all); err != nil {
			return nil, err
		}
		return plainFields(all)
	}
	var all []tftypes.Value
	if err := v.As(&all); err != nil {
		return nil, err
	}
	out := []any{}
	for _, one := range all {
		x, err := plain(one)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func plainFields(all map[string]tftypes.Value) (any, error) {
	out := map[string]any{}
	for name, one := range all {
		x, err := plain(one)
		if err != nil {
			return nil, err
		}
		if x != nil {
			out[name] = x
		}
	}
	return out, nil
}
