package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/internal/admin"
)

// orderPatience is how long to wait for an order to the control group: longer than a gateway takes to give up.
const orderPatience = 35 * time.Second

// cluster returns the commands about the control group. Their aliases are the names that other tools use for them.
func (o *operator) cluster() []*cobra.Command {
	return []*cobra.Command{
		o.status(),
		o.forceLeader(),
		o.compare("reconcile", "reconcile_state", "Bring every gateway that can be reached up to the leader's last commit, and copies of sessions together"),
		o.compare("verify", "verify_state", "Compare what every gateway has applied, and the copies of sessions; changes nothing"),
		o.sessions(),
		o.voters(),
		o.snapshot(),
		o.events(),
	}
}

// both is the answer of quorate admin status --json. Cluster is null where there is no control group.
type both struct {
	Cluster json.RawMessage `json:"cluster"`
	Status  json.RawMessage `json:"status"`
}

func (o *operator) status() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Aliases: []string{"get_cluster_status"},
		Short:   "Show the cluster, graded healthy, warning or critical, and this gateway's services",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var (
				b   both
				err error
			)
			if b.Status, err = o.ask(cmd, request{method: http.MethodGet, path: "/v1/status"}); err != nil {
				return err
			}
			b.Cluster, err = o.ask(cmd, request{method: http.MethodGet, path: "/v1/cluster"})
			var no *refusal
			if errors.As(err, &no) && no.status == http.StatusNotFound {
				b.Cluster, err = nil, nil
			}
			if err != nil {
				return err
			}
			answer, err := json.Marshal(b)
			if err != nil {
				return err
			}
			return o.print(cmd, append(answer, '\n'), printStatus)
		},
	}
}

func (o *operator) forceLeader() *cobra.Command {
	var attest bool
	cmd := &cobra.Command{
		Use:     "force-leader REGION",
		Aliases: []string{"force_leader"},
		Short:   "Make a region lead",
		Long: "With a quorum, leadership moves to a voter of the region. Without one the gateway refuses, since two sides could\n" +
			"both be told to lead. If you know that every gateway outside the region is off, and stays off until it has been\n" +
			"started anew with an empty store, say so with --i-attest-the-other-side-is-off: the region then goes on alone as a new\n" +
			"generation of the cluster, and the old voters are refused. It is logged for ever.",
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&attest, "i-attest-the-other-side-is-off", false, "every gateway outside the region is off and stays off")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := json.Marshal(struct {
			Region string `json:"region"`
			Attest bool   `json:"attest"`
		}{args[0], attest})
		if err != nil {
			return err
		}
		answer, err := o.ask(cmd, request{method: http.MethodPost, path: "/v1/cluster/leader", body: body, patience: orderPatience})
		if err != nil {
			return err
		}
		return o.print(cmd, answer, printCluster)
	}
	return cmd
}

// compare is reconcile or verify. Gateways that do not agree are a failure.
func (o *operator) compare(name, alias, short string) *cobra.Command {
	return &cobra.Command{
		Use: name, Aliases: []string{alias}, Short: short,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := o.ask(cmd, request{method: http.MethodPost, path: "/v1/cluster/" + name, patience: orderPatience})
			if err != nil {
				return err
			}
			a, err := understood[admin.Agreement](answer)
			if err != nil {
				return err
			}
			err = o.print(cmd, answer, func(w io.Writer, _ []byte) error { return printAgreement(w, a) })
			if err == nil && !a.Agreed {
				err = exitCode(exitFailure)
			}
			return err
		},
	}
}

func (o *operator) events() *cobra.Command {
	cmd := &cobra.Command{Use: "events", Short: "Show the gateway's latest authority events, oldest first"}
	after := cmd.Flags().Uint64("after", 0, "only events after this `number`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := o.ask(cmd, request{method: http.MethodGet, path: "/v1/events?after=" + strconv.FormatUint(*after, 10)})
		if err != nil {
			return err
		}
		return o.print(cmd, answer, printEvents)
	}
	return cmd
}
