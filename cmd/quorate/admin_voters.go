package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/admin"
)

// voters is quorate admin voters, which lists them unless told otherwise.
func (o *operator) voters() *cobra.Command {
	list := o.show("voters", "Show the voters, or add or remove one", "/v1/cluster", printVoters)
	list.AddCommand(
		o.show("list", "Show the voters", "/v1/cluster", printVoters),
		o.addVoter(),
		o.removeVoter(),
	)
	return list
}

func (o *operator) addVoter() *cobra.Command {
	var role, region string
	var declared int
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a gateway or witness a voter, once it has caught up",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&role, "role", admin.RoleVoter, "voter or witness")
	cmd.Flags().StringVar(&region, "region", "", "its `region`; default: the one that it joined from")
	cmd.Flags().IntVar(&declared, "declared", 0, "how many voters the fleet is to have in the `end`, so that a majority of two is taken for a step on the way to three; default: what is declared already")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := json.Marshal(struct {
			Role   string `json:"role"`
			Region string `json:"region,omitempty"`
			// Declared is left to the fleet where nothing is said.
			Declared int `json:"declared,omitempty"`
		}{role, region, declared})
		if err != nil {
			return err
		}
		return o.changeVoter(cmd, request{method: http.MethodPut, path: voterPath(args[0]), body: body}, args[0]+" is a voter")
	}
	return cmd
}

func (o *operator) removeVoter() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a voter's vote away; it goes on as a member",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.changeVoter(cmd, request{method: http.MethodDelete, path: voterPath(args[0])}, args[0]+" is no voter any more")
		},
	}
}

func voterPath(name string) string { return "/v1/voters/" + url.PathEscape(name) }

// changeVoter says so when a change of voters has been carried out.
func (o *operator) changeVoter(cmd *cobra.Command, q request, done string) error {
	q.patience = orderPatience
	answer, err := o.ask(cmd, q)
	if err != nil {
		return err
	}
	return o.print(cmd, answer, func(w io.Writer, _ []byte) error {
		_, err := fmt.Fprintln(w, done)
		return err
	})
}
