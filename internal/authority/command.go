package authority

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Command is an entry of the log: one of the types of this file.
type Command interface{ kind() string }

type (
	// Bootstrap is the first entry of a cluster. The voters' Joined is set by the log.
	Bootstrap struct {
		Cluster string `json:"cluster"` // the minted id; entries and links of another are refused by whoever carries them
		Quorum  Quorum `json:"quorum"`
		// Declared is how many voters the fleet is to have in the end.
		Declared int `json:"declared"`
	}
	// Join begins a life of a gateway. Its last one must have ended.
	Join struct {
		Gateway string `json:"gateway"`
		Region  string `json:"region"`
		Store   string `json:"store"` // holds its copies of records
		Nonce   string `json:"nonce"` // of this process alone
	}
	// Leave ends a life by its own word: Gate.End closed its gate for good. It is not for whoever believes that
	// another process is dead, which is what Suspect and Fence are for.
	Leave struct {
		Life Life `json:"life"`
	}
	// Suspect is the barrier of a fence: from here on voters ack this life no more.
	Suspect struct {
		Life Life `json:"life"`
	}
	// Clear takes one suspicion back, unless the life has been fenced.
	Clear struct {
		Life    Life  `json:"life"`
		Suspect Index `json:"suspect"`
	}
	// Fence completes one suspicion: the life has ended and holds no open gate anywhere.
	Fence struct {
		Life      Life      `json:"life"`
		Suspect   Index     `json:"suspect"`
		Confirmed []VoterID `json:"confirmed"`
	}
	// Remove forgets a gateway whose life has ended.
	Remove struct {
		Gateway string `json:"gateway"`
	}
	// Change is the barrier of a change of rule, voters or promise: from here on both quorums are needed.
	Change struct {
		From     Version `json:"from"` // the version that it replaces
		Quorum   Quorum  `json:"quorum"`
		Declared int     `json:"declared"`
	}
	// Finish completes a change: only the new quorum is needed.
	Finish struct {
		Barrier   Index     `json:"barrier"`
		Confirmed []VoterID `json:"confirmed"`
	}
	// Restore takes a change back that is not finished: the old quorum under a new version.
	Restore struct {
		Barrier Index `json:"barrier"`
	}
	// Take claims a record.
	Take struct {
		Record string `json:"record"`
		// Minter is the life that the record's id names.
		Minter Life `json:"minter"`
		// Replaces is the ballot that this claim ends; 0: the minter's.
		Replaces Index `json:"replaces"`
		Claimant Life  `json:"claimant"`
		// Released says that the owner under Replaces stopped and gave the record away.
		Released bool `json:"released"`
	}
	// Takes claims several records at once. Each claim is judged on its own, in order, and one that is refused changes
	// nothing; the entry is the ballot of all the others. A release before it cannot apply it: see Kinds.
	Takes struct {
		Claims []Take `json:"claims"` // at most MaxTakes
	}
	// Forget drops claims of records whose longest lifetime has passed. A record that was claimed again since
	// stays.
	Forget struct {
		Ballots map[string]Index `json:"ballots"` // by record
	}
	// Force makes a rule by an operator's word that everybody else is off: every life ends and the new quorum counts
	// at once. It is for the first entry of a log that was recovered from one voter's store, after that voter's
	// largest promise has run out, and nothing else; see MaxForced.
	Force struct {
		Quorum   Quorum  `json:"quorum"`
		Declared int     `json:"declared"`
		Above    Version `json:"above"` // the largest version that the voter has stored
		By       string  `json:"by"`
		At       string  `json:"at"` // by the clock of the gateway that was told, for people
	}
	// Noop does nothing; a new leader begins with it.
	Noop struct{}
)

func (Bootstrap) kind() string { return "bootstrap" }
func (Join) kind() string      { return "join" }
func (Leave) kind() string     { return "leave" }
func (Suspect) kind() string   { return "suspect" }
func (Clear) kind() string     { return "clear" }
func (Fence) kind() string     { return "fence" }
func (Remove) kind() string    { return "remove" }
func (Change) kind() string    { return "change" }
func (Finish) kind() string    { return "finish" }
func (Restore) kind() string   { return "restore" }
func (Take) kind() string      { return "claim" }
func (Takes) kind() string     { return KindTakes }
func (Forget) kind() string    { return "forget" }
func (Force) kind() string     { return "force" }
func (Noop) kind() string      { return "noop" }

// KindTakes is the kind of Takes, which is younger than the others.
const KindTakes = "claims"

// Kinds returns the kinds of commands that this release applies, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(decoders())) }

// CommandFormat is the newest form of commands that this release applies. A leader proposes no form that a
// voter of the roster cannot apply.
const CommandFormat = 1

type envelope struct {
	Format int             `json:"format"`
	Kind   string          `json:"kind"`
	Body   json.RawMessage `json:"body"`
}

// Encode returns the bytes of a command for the log.
func Encode(c Command) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("authority: encode %s: %w", c.kind(), err)
	}
	b, err := json.Marshal(envelope{Format: CommandFormat, Kind: c.kind(), Body: body})
	if err == nil && len(b) > MaxCommand {
		err = fmt.Errorf("authority: encode %s: %d bytes are more than %d", c.kind(), len(b), MaxCommand)
	}
	return b, err
}

// Decode is the inverse of Encode. ErrNewer: the command is of a newer release.
func Decode(b []byte) (Command, error) {
	if len(b) > MaxCommand {
		return nil, fmt.Errorf("authority: command of %d bytes, more than %d", len(b), MaxCommand)
	}
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("authority: command: %w", err)
	}
	if e.Format > CommandFormat {
		return nil, fmt.Errorf("authority: command %.40q of format %d, this release applies up to %d: %w", e.Kind, e.Format, CommandFormat, ErrNewer)
	}
	read, ok := decoders()[e.Kind]
	if !ok {
		return nil, fmt.Errorf("authority: command of unknown kind %.40q: %w", e.Kind, ErrNewer)
	}
	c, err := read(e.Body)
	if err != nil {
		return nil, fmt.Errorf("authority: command %s: %w: %w", e.Kind, ErrNewer, err)
	}
	return c, nil
}

func decoders() map[string]func([]byte) (Command, error) {
	return map[string]func([]byte) (Command, error){
		"bootstrap": as[Bootstrap], "join": as[Join], "leave": as[Leave], "suspect": as[Suspect], "clear": as[Clear],
		"fence": as[Fence], "remove": as[Remove], "change": as[Change], "finish": as[Finish], "restore": as[Restore],
		"claim": as[Take], KindTakes: as[Takes], "forget": as[Forget], "force": as[Force], "noop": as[Noop],
	}
}

// as reads a command of type C. A field that is not known would be one whose meaning is lost: it is refused as
// newer.
func as[C Command](body []byte) (Command, error) {
	var c C
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, err
	}
	return c, nil
}

// named reports whether all of the names are within bounds.
func named(names ...string) bool {
	for _, n := range names {
		if n == "" || len(n) > MaxName {
			return false
		}
	}
	return true
}

// promised reports whether a promise is within bounds.
func promised(p time.Duration) bool { return p >= LeastPromise && p <= MostPromise }
