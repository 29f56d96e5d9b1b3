package pawl

import (
	"strings"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// StartOption is a RunID, IdempotencyKey, Queue, Priority, Tags, PinVersion, SessionID, UserID, Delay, StartAt,
// Timeout, QueueTimeout, Debounce, ConcurrencyLimit, RateLimit, FairnessKey, Traceparent or LeaseWait.
type StartOption interface{ applyStart(*pb.StartRunRequest) }

type startOption func(*pb.StartRunRequest)

func (o startOption) applyStart(r *pb.StartRunRequest) { o(r) }

// IdempotencyKey identifies a start instead of a RunID: starting again with the same key returns the same run.
func IdempotencyKey(key string) StartOption {
	return startOption(func(r *pb.StartRunRequest) { r.IdempotencyKey = key })
}

// PinVersion pins the run to a version of the workflow; it waits for a worker with that version.
func PinVersion(version string) StartOption {
	return startOption(func(r *pb.StartRunRequest) { r.Version = version })
}

// SessionID is the user's conversation, for your own use.
func SessionID(id string) StartOption {
	return startOption(func(r *pb.StartRunRequest) { r.SessionId = id })
}

// UserID is the user, for your own use.
func UserID(id string) StartOption {
	return startOption(func(r *pb.StartRunRequest) { r.UserId = id })
}

// Delay makes the run start only after this delay.
func Delay(delay time.Duration) StartOption {
	return startOption(func(r *pb.StartRunRequest) { r.Delay = durationpb.New(delay) })
}

// StartAt makes the run start only at this time.
func StartAt(moment time.Time) StartOption {
	return startOption(func(r *pb.StartRunRequest) { r.StartAt = timestamppb.New(moment) })
}

// Traceparent is the W3C trace context of the caller, which the run's spans belong to. Default: none.
func Traceparent(context string) StartOption {
	return startOption(func(r *pb.StartRunRequest) { r.Traceparent = context })
}

func timeoutsOf(r *pb.StartRunRequest) *pb.RunTimeouts {
	if r.Timeouts == nil {
		r.Timeouts = &pb.RunTimeouts{}
	}
	return r.Timeouts
}

// A run that exceeds its Timeout is cleaned up like a cancelled one and becomes FAILED with RunTimeout.
func (t Timeout) applyStart(r *pb.StartRunRequest) {
	timeoutsOf(r).Run = durationpb.New(time.Duration(t))
}

// QueueTimeout is how long the run may wait for its first worker; then it fails. Default: that of the workflow,
// else no limit.
type QueueTimeout time.Duration

func (t QueueTimeout) applyStart(r *pb.StartRunRequest) {
	timeoutsOf(r).Queue = durationpb.New(time.Duration(t))
}

// Debounce merges starts with the same key into one run. It starts once no further start has arrived for the
// period, with the latest input, and all callers get the same run. Not together with RunID, IdempotencyKey,
// Delay or StartAt.
type Debounce struct {
	Key    string
	Period time.Duration
	// The run starts at the latest this long after the first start. Default: no limit.
	MaxWait time.Duration
}

func (d Debounce) applyStart(r *pb.StartRunRequest) {
	r.Debounce = &pb.Debounce{Key: d.Key, Period: durationpb.New(d.Period)}
	if d.MaxWait > 0 {
		r.Debounce.MaxWait = durationpb.New(d.MaxWait)
	}
}

func flowOf(r *pb.StartRunRequest) *pb.FlowControl {
	if r.Flow == nil {
		r.Flow = &pb.FlowControl{}
	}
	return r.Flow
}

// ConcurrencyLimit is the maximum number of concurrent runs, from 1 to 100,000. A run counts while it is ready
// for a worker or held by one; a run that waits frees its place. A run over the limit is QUEUED, holds no worker
// and starts automatically. Default: no limit. It costs one more transaction per start, so do not set it to limit
// a single worker: use WorkerOptions.Slots for that.
type ConcurrencyLimit struct {
	Limit int
	// A template over the input, such as `{customer.id}`: runs with the same key share the limit. Default: all runs
	// of the workflow share it.
	Key string
}

func (l ConcurrencyLimit) message() *pb.ConcurrencyLimit {
	return &pb.ConcurrencyLimit{Limit: uint32(max(0, l.Limit)), Key: l.Key}
}

func (l ConcurrencyLimit) applyStart(r *pb.StartRunRequest) { flowOf(r).Concurrency = l.message() }

// RateLimit is the maximum number of starts in any period of this length (a sliding window). Default: no limit.
type RateLimit struct {
	Limit  int
	Period time.Duration
	// As in ConcurrencyLimit.
	Key string
}

func (l RateLimit) message() *pb.RateLimit {
	return &pb.RateLimit{Limit: uint32(max(0, l.Limit)), Period: durationpb.New(l.Period), Key: l.Key}
}

func (l RateLimit) applyStart(r *pb.StartRunRequest) { flowOf(r).Rate = l.message() }

// FairnessKey is a template over the input: queued runs that a ConcurrencyLimit holds back are started round-robin
// across its values. Default: in their order. Set it so that one customer with many runs does not delay the others.
type FairnessKey string

func (k FairnessKey) applyStart(r *pb.StartRunRequest) { flowOf(r).FairnessKey = string(k) }

// checkStart refuses what makes no sense together, and texts that cannot be stored.
func checkStart(request *pb.StartRunRequest) error {
	flow := request.Flow
	switch {
	case request.RunId != "" && request.IdempotencyKey != "":
		return usage("give either a RunID or an IdempotencyKey: each of them names the run")
	case request.Delay != nil && request.StartAt != nil:
		return usage("give either a Delay or a StartAt")
	}
	for what, key := range map[string]string{
		"ConcurrencyLimit": flow.GetConcurrency().GetKey(), "RateLimit": flow.GetRate().GetKey(), "FairnessKey": flow.GetFairnessKey(),
	} {
		if strings.Count(key, "{") != strings.Count(key, "}") {
			return usage("the key of %s is %q, which has a brace without its other half; write for example {customer.id}", what, key)
		}
	}
	return checkTexts(map[string]string{
		"the run id": request.RunId, "the idempotency key": request.IdempotencyKey, "the name of a workflow": request.Workflow,
		"the version": request.Version, "the session id": request.SessionId, "the user id": request.UserId,
		"the key of ConcurrencyLimit": flow.GetConcurrency().GetKey(), "the key of RateLimit": flow.GetRate().GetKey(),
		"the fairness key": flow.GetFairnessKey(), "the key of Debounce": request.Debounce.GetKey(),
	}, request.Tags, request.Queue)
}
