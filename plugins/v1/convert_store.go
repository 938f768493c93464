package strategyv1

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/strategies"
)

// FromRecord is a record as it goes over the wire.
func FromRecord(r strategies.Record) *Record {
	return &Record{
		Key: r.Key, Service: r.Service, Owner: r.Owner, Ballot: r.Ballot, Version: r.Version, Deleted: r.Deleted, Until: r.Until, Contents: r.Contents,
	}
}

// Valid is the record, or what is wrong with it.
func (x *Record) Valid() (strategies.Record, error) {
	r := strategies.Record{
		Key: x.GetKey(), Service: x.GetService(), Owner: x.GetOwner(), Ballot: x.GetBallot(), Version: x.GetVersion(), Deleted: x.GetDeleted(), Until: x.GetUntil(), Contents: x.GetContents(),
	}
	return r, r.Validate()
}

// FromHead is what there is of a record without its contents, as it goes over the wire.
func FromHead(h strategies.Head) *Head {
	return &Head{
		Key: h.Key, Service: h.Service, Owner: h.Owner, Ballot: h.Ballot, Version: h.Version, Deleted: h.Deleted, Until: h.Until,
		Size: uint64(max(h.Size, 0)), Digest: h.Digest[:], Revision: h.Revision,
	}
}

// Valid is what there is of a record without its contents, or what is wrong with it.
func (x *Head) Valid() (strategies.Head, error) {
	r := strategies.Record{
		Key: x.GetKey(), Service: x.GetService(), Owner: x.GetOwner(), Ballot: x.GetBallot(), Version: x.GetVersion(), Deleted: x.GetDeleted(), Until: x.GetUntil(),
	}
	h := r.Head()
	h.Size, h.Revision = int(min(x.GetSize(), strategies.MaxContents+1)), x.GetRevision()
	if len(x.GetDigest()) != len(h.Digest) || h.Size > strategies.MaxContents {
		return h, fmt.Errorf("strategyv1: head of %.64q has no digest, or a size that no record has", r.Key)
	}
	copy(h.Digest[:], x.GetDigest())
	return h, r.Validate()
}

// FromQuery is a query as it goes over the wire.
func FromQuery(q strategies.Query) *Query {
	return &Query{Key: q.Key, Ballot: q.Ballot, Until: q.Until, Hint: q.Hint}
}

// Valid is the query, or what is wrong with it.
func (x *Query) Valid() (strategies.Query, error) {
	q := strategies.Query{Key: x.GetKey(), Ballot: x.GetBallot(), Until: x.GetUntil(), Hint: x.GetHint()}
	return q, q.Validate()
}

// FromAnswer is an answer as it goes over the wire.
func FromAnswer(a strategies.Answer) *Answer {
	out := &Answer{Promised: a.Promised, Revision: a.Revision, Old: a.Old}
	if a.Found {
		out.Record = FromRecord(a.Record)
	}
	return out
}

// Valid is the answer to a query, or what is wrong with it: another key, a promise that was not made.
func (x *Answer) Valid(q strategies.Query) (strategies.Answer, error) {
	a := strategies.Answer{Found: x.GetRecord() != nil, Promised: x.GetPromised(), Revision: x.GetRevision(), Old: x.GetOld()}
	if a.Promised < q.Ballot {
		return a, fmt.Errorf("strategyv1: ballot %d was to be promised and %d is", q.Ballot, a.Promised)
	}
	if !a.Found {
		return a, nil
	}
	var err error
	if a.Record, err = x.GetRecord().Valid(); err == nil && a.Record.Key != q.Key {
		err = fmt.Errorf("strategyv1: answer has the key %.64q instead of %.64q", a.Record.Key, q.Key)
	}
	return a, err
}

// FromWritten is what became of a record, as it goes over the wire.
func FromWritten(w strategies.Written) *Written {
	s := w.Standing
	return &Written{Outcome: Outcome(w.Outcome), Revision: w.Revision, Standing: &Standing{Known: s.Known, Ballot: s.Ballot, Version: s.Version, Deleted: s.Deleted, Promised: s.Promised}}
}

// Valid is what became of a record, or what is wrong with the answer.
func (x *Written) Valid() (strategies.Written, error) {
	s := x.GetStanding()
	w := strategies.Written{Outcome: strategies.Outcome(word(x.GetOutcome())), Revision: x.GetRevision(), Standing: strategies.Standing{
		Known: s.GetKnown(), Ballot: s.GetBallot(), Version: s.GetVersion(), Deleted: s.GetDeleted(), Promised: s.GetPromised(),
	}}
	if w.Outcome.String() == "invalid" {
		return w, errors.New("strategyv1: answer has no outcome that is known")
	}
	return w, nil
}

// FromFinding is a finding as it goes over the wire.
func FromFinding(f strategies.Finding) *Finding {
	return &Finding{Good: f.Good, Subject: f.Subject, Text: f.Text, Advice: f.Advice}
}

// Found is the finding. Its texts are cut and what cannot be printed is replaced.
func (x *Finding) Found() strategies.Finding {
	return strategies.Finding{
		Good: x.GetGood(), Subject: strategies.Printable(x.GetSubject()), Text: strategies.Printable(x.GetText()), Advice: strategies.Printable(x.GetAdvice()),
	}
}
