package tfprovider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/builtin"
)

// quorumCheck is provider::quorate::quorum_check.
type quorumCheck struct{}

func newQuorumCheck() function.Function { return quorumCheck{} }

// Metadata implements function.Function.
func (quorumCheck) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "quorum_check"
}

func verdictTypes() map[string]attr.Type {
	return map[string]attr.Type{"words": types.StringType, "voters": types.ListType{ElemType: types.StringType}, "losses": types.ListType{ElemType: types.StringType}}
}

// Definition implements function.Function.
func (quorumCheck) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Prove that a rule lets one side of a partition write at most",
		MarkdownDescription: "Fails when two sides of a partition could both write, naming them. Else returns an object: `words`, the rule for people; `voters`; `losses`, which writes the loss of each voter and region leaves.\n\n" +
			"The rule is the name of a built-in strategy (`winner_takes_all`, `oldest_node`, `region_majority`, `configured_master:NAME`), or a rule of your own as JSON, such as `jsonencode({need = 2, members = [{voter = \"a\", weight = 1}, ...]})`.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "rule", MarkdownDescription: "The strategy or rule."},
			function.MapParameter{Name: "voters", ElementType: types.StringType, MarkdownDescription: "The region of each voter, by the voter's name. Voters are taken to have joined in the order of their names."},
		},
		Return: function.ObjectReturn{AttributeTypes: verdictTypes()},
	}
}

// verdict is what a rule comes to.
type verdict struct {
	Words  string   `tfsdk:"words"`
	Voters []string `tfsdk:"voters"`
	Losses []string `tfsdk:"losses"`
}

// Run implements function.Function.
func (quorumCheck) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var rule string
	var voters map[string]string
	if resp.Error = req.Arguments.Get(ctx, &rule, &voters); resp.Error != nil {
		return
	}
	v, err := judge(rule, voters)
	var bad *badRule
	switch {
	case errors.As(err, &bad):
		resp.Error = function.NewArgumentFuncError(0, bad.Error())
	case err != nil:
		resp.Error = function.NewArgumentFuncError(1, err.Error())
	default:
		resp.Error = resp.Result.Set(ctx, v)
	}
}

// badRule is an error of the rule, not of the voters.
type badRule struct{ error }

func judge(text string, voters map[string]string) (verdict, error) {
	in := strategies.Input{Options: map[string]string{}}
	for i, name := range sorted(voters) {
		in.Roster = append(in.Roster, strategies.Gateway{Name: name, Region: voters[name], Role: strategies.Voter, JoinIndex: uint64(i + 1)})
	}
	rule, err := ruleOf(text, &in)
	if err != nil {
		return verdict{}, &badRule{err}
	}
	if err := in.Validate(); err != nil {
		return verdict{}, err
	}
	if rule.Need == 0 {
		strategy, _ := builtin.Find(strings.SplitN(text, ":", 2)[0])
		if rule, err = strategy.Rule(in); err != nil {
			return verdict{}, &badRule{err}
		}
	}
	if err := strategies.Prove(rule); err != nil {
		return verdict{}, &badRule{err}
	}
	if rule, err = strategies.Admit(in, rule); err != nil {
		return verdict{}, &badRule{err}
	}
	v := verdict{Words: rule.String(), Voters: in.Roster.Names(), Losses: []string{}}
	losses, err := strategies.Losses(in.Roster, rule)
	for _, l := range losses {
		v.Losses = append(v.Losses, fmt.Sprint(l))
	}
	return v, err
}

// ruleOf reads a rule of the caller's own; the zero rule stands for a strategy's, which is asked later.
func ruleOf(text string, in *strategies.Input) (rule strategies.Rule, err error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		err := json.Unmarshal([]byte(text), &rule)
		return rule, err
	}
	name, master, given := strings.Cut(text, ":")
	if _, ok := builtin.Find(name); !ok {
		return rule, fmt.Errorf("%.64q is no built-in strategy; write one of %s, or a rule as JSON", text, strings.Join(builtin.Names(), ", "))
	}
	if given {
		in.Options["master"] = master
	}
	return rule, nil
}
