package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/strategies"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lawless is a short run in which the cut-off gateway goes on writing.
func lawless(t *testing.T) (*history.History, history.Verdict) {
	t.Helper()
	h := &history.History{Title: "seed 7: a <fleet> & its faults", End: 10 * time.Second, Rules: []history.InForce{{Rule: "2 of (a, b, c)"}},
		Bounds:   history.Bounds{Lease: time.Second, Converge: 10 * time.Second, Handled: 2 * time.Second},
		Episodes: []history.Episode{{Name: "cut c | others", Begin: 2 * time.Second, Heal: 6 * time.Second, Quiet: 10 * time.Second, Whole: true}}}
	for _, n := range []string{"a", "b", "c"} {
		h.Gateways = append(h.Gateways, history.Gateway{Name: n, Region: "r-" + n, Role: strategies.Voter})
		h.Samples = append(h.Samples, history.Sample{Gateway: n, At: time.Second, Open: true}, history.Sample{Gateway: n, At: 9 * time.Second})
	}
	for _, down := range []bool{true, false} {
		for _, o := range []string{"a", "b"} {
			at := map[bool]history.Time{true: 2 * time.Second, false: 6 * time.Second}[down]
			h.Changes = append(h.Changes, history.Change{At: at, From: "c", To: o, Down: down}, history.Change{At: at, From: o, To: "c", Down: down})
		}
	}
	for i, at := range []history.Time{time.Second, 4 * time.Second, 7 * time.Second} {
		for _, n := range []string{"a", "b", "c"} {
			id := n + string(rune('0'+i))
			h.Calls = append(h.Calls, history.Call{ID: id, Gateway: n, Kind: history.Write, Invoke: at, Return: at + time.Millisecond, Outcome: history.OK})
			h.Effects = append(h.Effects, history.Effect{Call: id, Node: n, Gateway: n, At: at, Done: true})
		}
	}
	v, err := history.Judge(h)
	if err != nil {
		t.Fatal(err)
	}
	return h, v
}

func TestText(t *testing.T) {
	text := Text(lawless(t))
	for _, want := range []string{
		"seed 7", "9 writes: 9 answered, 0 refused, 0 unknown (0.00 %)", "1 of 3", "2s", "VIOLATION I5: c wrote", "VIOLATION I1: ", "3 violations",
		"(floor 15s)", "(floor 30s)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// The picture is well-formed, whatever stands in names, and shows gates, effects, the fault and the violations.
func TestPicture(t *testing.T) {
	svg := Picture(lawless(t))
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in:\n%s", err, svg)
		}
	}
	for _, want := range []string{openColour, effectColour, faultColour, wrongColour, "cut c | others", "&lt;fleet&gt; &amp;"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in the picture", want)
		}
	}
}
