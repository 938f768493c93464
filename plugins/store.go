package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	strategyv1 "github.com/quorate/quorate/plugins/v1"
	"github.com/quorate/quorate/strategies"
)

// heads is how many go into one message of a list.
const heads = 1024

// store1 is a store in protocol version 1.
type store1 struct {
	strategyv1.UnimplementedStoreServer
	store strategies.Store
}

// Put answers the host.
func (s *store1) Put(ctx context.Context, request *strategyv1.PutRequest) (*strategyv1.PutResponse, error) {
	records, size, seen := make([]strategies.Record, len(request.GetRecords())), 0, map[string]bool{}
	for i, r := range request.GetRecords() {
		var err error
		if records[i], err = r.Valid(); err == nil && seen[records[i].Key] {
			err = fmt.Errorf("plugins: key %.64q is there twice", records[i].Key)
		}
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		seen[records[i].Key] = true
		size += len(records[i].Contents)
	}
	if len(records) > strategies.MaxBatch || size > strategies.MaxBytes {
		return nil, status.Errorf(codes.InvalidArgument, "plugins: %d records with %d bytes are more than %d with %d", len(records), size, strategies.MaxBatch, strategies.MaxBytes)
	}
	written, err := s.store.Put(ctx, records)
	if err != nil {
		return nil, statusOf(err)
	}
	answer := &strategyv1.PutResponse{}
	for _, w := range written {
		answer.Written = append(answer.Written, strategyv1.FromWritten(w))
	}
	return answer, nil
}

// Get answers the host, with as much as one message holds.
func (s *store1) Get(ctx context.Context, request *strategyv1.GetRequest) (*strategyv1.GetResponse, error) {
	queries := make([]strategies.Query, len(request.GetQueries()))
	for i, q := range request.GetQueries() {
		var err error
		if queries[i], err = q.Valid(); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	if len(queries) > strategies.MaxBatch {
		return nil, status.Errorf(codes.InvalidArgument, "plugins: %d queries are more than %d", len(queries), strategies.MaxBatch)
	}
	answers, err := s.store.Get(ctx, queries)
	if err != nil {
		return nil, statusOf(err)
	}
	out, size := &strategyv1.GetResponse{}, 0
	for i, a := range answers {
		if size += len(a.Record.Contents); i > 0 && size > strategies.MaxBytes {
			break
		}
		out.Answers = append(out.Answers, strategyv1.FromAnswer(a))
	}
	return out, nil
}

// List answers the host.
func (s *store1) List(_ *strategyv1.ListRequest, stream grpc.ServerStreamingServer[strategyv1.ListResponse]) error {
	part := &strategyv1.ListResponse{}
	err := s.store.List(stream.Context(), func(h strategies.Head) error {
		part.Heads = append(part.Heads, strategyv1.FromHead(h))
		if len(part.Heads) < heads {
			return nil
		}
		full := part
		part = &strategyv1.ListResponse{}
		return stream.Send(full)
	})
	if err == nil {
		err = stream.Send(part)
	}
	if err != nil {
		return statusOf(err)
	}
	return nil
}

// Inspect answers the host.
func (s *store1) Inspect(ctx context.Context, _ *strategyv1.InspectRequest) (*strategyv1.InspectResponse, error) {
	found, err := s.store.Inspect(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	answer := &strategyv1.InspectResponse{}
	for _, f := range found[:min(len(found), strategies.MaxFindings)] {
		answer.Findings = append(answer.Findings, strategyv1.FromFinding(f))
	}
	return answer, nil
}

// ofStore is the error of a store, from the wire. gRPC itself says RESOURCE_EXHAUSTED of a message that is too large.
func ofStore(err error) error {
	message := status.Convert(err).Message()
	switch code := status.Code(err); {
	case code == codes.Unavailable:
		return because(strategies.ErrUnavailable, message)
	case code == codes.ResourceExhausted && !strings.HasPrefix(message, "grpc: "):
		return because(strategies.ErrFull, message)
	}
	return ofStatus(err)
}

// because adds what a strategy said to an error that is known.
func because(known error, message string) error {
	message = strings.TrimPrefix(message, known.Error()+": ")
	if message == "" || message == known.Error() {
		return known
	}
	return fmt.Errorf("%w: %s", known, strategies.Printable(message))
}

// storeClient1 asks a store in protocol version 1.
type storeClient1 struct{ store strategyv1.StoreClient }

// Put implements strategies.Store.
func (c storeClient1) Put(ctx context.Context, records []strategies.Record) ([]strategies.Written, error) {
	request := &strategyv1.PutRequest{}
	for _, r := range records {
		request.Records = append(request.Records, strategyv1.FromRecord(r))
	}
	answer, err := c.store.Put(ctx, request)
	if err != nil {
		return nil, ofStore(err)
	}
	if got := len(answer.GetWritten()); got != len(records) {
		return nil, fmt.Errorf("plugins: store said what became of %d records instead of %d", got, len(records))
	}
	written := make([]strategies.Written, len(records))
	for i, w := range answer.GetWritten() {
		if written[i], err = w.Valid(); err != nil {
			return nil, err
		}
	}
	return written, nil
}

// Get implements strategies.Store. It asks again for what one message did not hold.
func (c storeClient1) Get(ctx context.Context, queries []strategies.Query) ([]strategies.Answer, error) {
	var answers []strategies.Answer
	for len(answers) < len(queries) {
		rest := queries[len(answers):]
		more, err := c.get(ctx, rest)
		if err != nil {
			return nil, err
		}
		answers = append(answers, more...)
	}
	return answers, nil
}

// get returns the first answers, one at least.
func (c storeClient1) get(ctx context.Context, queries []strategies.Query) ([]strategies.Answer, error) {
	request := &strategyv1.GetRequest{}
	for _, q := range queries {
		request.Queries = append(request.Queries, strategyv1.FromQuery(q))
	}
	got, err := c.store.Get(ctx, request)
	if err != nil {
		return nil, ofStore(err)
	}
	if n := len(got.GetAnswers()); n == 0 || n > len(queries) {
		return nil, fmt.Errorf("plugins: store gave %d answers to %d queries", n, len(queries))
	}
	answers := make([]strategies.Answer, len(got.GetAnswers()))
	for i, a := range got.GetAnswers() {
		if answers[i], err = a.Valid(queries[i]); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// List implements strategies.Store.
func (c storeClient1) List(ctx context.Context, each func(strategies.Head) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends a stream that is not read to its end
	stream, err := c.store.List(ctx, &strategyv1.ListRequest{})
	if err != nil {
		return ofStore(err)
	}
	for {
		part, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return ofStore(err)
		}
		for _, x := range part.GetHeads() {
			head, err := x.Valid()
			if err != nil {
				return err
			}
			if err := each(head); err != nil {
				return err
			}
		}
	}
}

// Inspect implements strategies.Store.
func (c storeClient1) Inspect(ctx context.Context) ([]strategies.Finding, error) {
	answer, err := c.store.Inspect(ctx, &strategyv1.InspectRequest{})
	if err != nil {
		return nil, ofStore(err)
	}
	var found []strategies.Finding
	for _, f := range answer.GetFindings()[:min(len(answer.GetFindings()), strategies.MaxFindings)] {
		found = append(found, f.Found())
	}
	return found, nil
}
