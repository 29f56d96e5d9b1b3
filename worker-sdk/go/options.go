package pawl

import (
	"math"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
)

// WorkflowOptions say how a workflow is offered and executed.
type WorkflowOptions struct {
	// A template that builds the run id from the JSON members of the input, such as `order-{orderId}`, so that
	// starting twice for the same input returns the same run. Default: a random id.
	ID string
	// How failed steps are retried unless they have their own Retry. Default: no retry.
	Retry *Retry
	// The time limit of one attempt of each step that has no Timeout. Default: no limit.
	StepTimeout time.Duration
	// The time limit of a run, from its start to its end, waits included. Default: no limit, because runs may
	// wait for months. A run that exceeds it is cleaned up and becomes FAILED with RunTimeout.
	Timeout time.Duration
	// How long a run may wait for its first worker; then it fails. Default: no limit.
	QueueTimeout time.Duration
	// The queue of its runs. Default: `default`.
	Queue string
	// How many of its runs may be concurrent, unless the start says otherwise. Default: no limit.
	Concurrency *ConcurrencyLimit
	// How many of its runs may start in a period, unless the start says otherwise. Default: no limit.
	RateLimit *RateLimit
	// Distributes queued runs that Concurrency holds back, unless the start says otherwise. Default: in their order.
	FairnessKey FairnessKey
	// The version of the code, shown to people. Runs pinned to a version are only given to workers with it.
	Version string
	// What the workflow does, shown to people.
	Description string
	// JSON Schemas as JSON text; the server validates inputs against the first. Default: any value is valid.
	InputSchema, OutputSchema string
}

// stepSettings are a step's options, complete and checked.
type stepSettings struct {
	key              string
	retry            *pb.RetryPolicy
	timeout          time.Duration
	hasTimeout       bool
	atMostOnce       bool
	definitionDigest string
	// Of what the step yields.
	keep Keep
	err  error
}

// StepOption says how a step is executed: a Key, Retry, Timeout, AtMostOnce, Version or Keep.
type StepOption interface{ applyStep(*stepSettings) }

// Key distinguishes steps or children with the same name, such as by an order's
// id; unique per name and scope. Without it, they are numbered in the order of the
// calls. Set it in loops over a list that can change.
type Key string

func (k Key) applyStep(s *stepSettings)   { s.key = string(k) }
func (k Key) applyChild(s *childSettings) { s.key = string(k) }

// Timeout limits one attempt of a step, or a wait. An attempt that exceeds it fails, and its
// context is cancelled; a function that ignores the context continues in the background, and its
// result is discarded. Without it there is no limit. A value of 0 or less ends immediately.
type Timeout time.Duration

func (t Timeout) applyStep(s *stepSettings) { s.timeout, s.hasTimeout = time.Duration(t), true }
func (t Timeout) applyWait(s *waitSettings) { s.timeout, s.hasTimeout = time.Duration(t), true }

type stepOption func(*stepSettings)

func (o stepOption) applyStep(s *stepSettings) { o(s) }

// AtMostOnce commits the start before the step runs. If the worker crashes while it is in flight, it is
// not run again: the run is paused (UNKNOWN_OUTCOME) until a person decides, and a pause waits for the step
// to end. Use it only for effects that must not happen twice and accept no idempotency key; it costs one more
// commit per step. Without it, a step runs at least once.
func AtMostOnce() StepOption { return stepOption(func(s *stepSettings) { s.atMostOnce = true }) }

// Version identifies the step's definition. If a recorded step has another one, the run is paused with
// NON_DETERMINISM. Set it if results of older code must not be reused.
func Version(version string) StepOption {
	digest := digestText(version)
	return stepOption(func(s *stepSettings) { s.definitionDigest = digest })
}

// Retry says how a failed step is retried. A step without it has one attempt, because not every step
// may be repeated. The server keeps count, so crashes do not reset it.
type Retry struct {
	// The number of attempts, including the first. Default: 3.
	MaxAttempts int
	// The delays between attempts. Default: Exponential(2, time.Minute), which gives an overloaded service
	// more time with each attempt. Delays over 2 s hold no worker.
	Backoff Backoff
	// No attempt starts later than this after the first one. Default: no limit.
	MaxElapsed time.Duration
	// 0 to 1: each delay is multiplied by a random factor between 1 - Jitter and 1. Default: 0. Set it if
	// many runs fail at the same time and would retry at the same time.
	Jitter float64
	// The names of error types that are not retried. Default: none.
	NonRetryable []string
	// The number of worker crashes during the step after which its run is paused (CRASH_LOOP). Crashes do
	// not count as attempts. Default: 3.
	MaxCrashes int
	// What happens when no attempt is left. Default: FailStep. With PauseRun the run waits for an operator.
	OnExhausted OnExhausted
}

// OnExhausted says what happens to a step when no attempt is left.
type OnExhausted int

// FailStep returns the error to the run's code; PauseRun pauses the run for an operator, who retries the step or
// decides its outcome.
const (
	FailStep OnExhausted = iota
	PauseRun
)

func (r Retry) applyStep(s *stepSettings) {
	policy, err := r.policy()
	s.retry = policy
	if err != nil {
		s.err = err
	}
}

func (r Retry) policy() (*pb.RetryPolicy, error) {
	if r.MaxAttempts < 0 || r.MaxAttempts > 1_000_000 {
		return nil, usage("MaxAttempts counts the first attempt too, so it is 1 to 1000000; it is %d", r.MaxAttempts)
	}
	if r.MaxCrashes < 0 || r.MaxCrashes > 1_000_000 {
		return nil, usage("MaxCrashes is 1 to 1000000; it is %d", r.MaxCrashes)
	}
	if !(r.Jitter >= 0 && r.Jitter <= 1) {
		return nil, usage("Jitter is between 0 and 1; it is %v", r.Jitter)
	}
	policy := &pb.RetryPolicy{
		MaxAttempts: uint32(r.MaxAttempts), Jitter: r.Jitter, NonRetryableTypes: r.NonRetryable,
		OnExhausted: pb.OnExhausted_ON_EXHAUSTED_FAIL, MaxCrashes: uint32(r.MaxCrashes),
	}
	if r.MaxAttempts == 0 {
		policy.MaxAttempts = 3
	}
	if r.OnExhausted == PauseRun {
		policy.OnExhausted = pb.OnExhausted_ON_EXHAUSTED_PAUSE
	}
	if r.MaxElapsed > 0 {
		policy.MaxElapsed = durationpb.New(r.MaxElapsed)
	}
	backoff := r.Backoff
	if backoff == nil {
		backoff = Exponential(2, time.Minute)
	}
	return policy, backoff(policy)
}

// Backoff is the delays between the attempts of a step. Exponential, ExponentialFrom, Linear, Constant and Delays make one.
type Backoff func(*pb.RetryPolicy) error

// Exponential waits base, base², base³ … seconds, at most max: with 2 and a minute it waits 2, 4, 8, 16, 32, 60, 60 s.
func Exponential(base float64, max time.Duration) Backoff {
	return ExponentialFrom(time.Duration(base*float64(time.Second)), base, max)
}

// ExponentialFrom waits first, first × base, first × base² …, at most max.
func ExponentialFrom(first time.Duration, base float64, max time.Duration) Backoff {
	return func(policy *pb.RetryPolicy) error {
		if !(base >= 1) || math.IsInf(base, 0) || first < 0 || max < 0 {
			return usage("an exponential backoff needs a base of at least 1, and delays that are not negative; it got %v, %v and %v", base, first, max)
		}
		policy.Backoff = pb.Backoff_BACKOFF_EXPONENTIAL
		policy.InitialInterval = durationpb.New(first)
		policy.Coefficient = base
		policy.MaxInterval = durationpb.New(max)
		return nil
	}
}

// Linear waits start, start + step, start + 2 step …
func Linear(start, step time.Duration) Backoff {
	return func(policy *pb.RetryPolicy) error {
		if start < 0 || step < 0 {
			return usage("Linear needs delays that are not negative; it got %v and %v", start, step)
		}
		policy.Backoff = pb.Backoff_BACKOFF_LINEAR
		policy.InitialInterval = durationpb.New(start)
		policy.Increment = durationpb.New(step)
		return nil
	}
}

// Constant waits the same delay each time.
func Constant(delay time.Duration) Backoff {
	return func(policy *pb.RetryPolicy) error {
		if delay < 0 {
			return usage("Constant needs a delay that is not negative; it got %v", delay)
		}
		policy.Backoff = pb.Backoff_BACKOFF_CONSTANT
		policy.InitialInterval = durationpb.New(delay)
		return nil
	}
}

// Delays waits these delays one after the other, and repeats the last one.
func Delays(delays ...time.Duration) Backoff {
	return func(policy *pb.RetryPolicy) error {
		if len(delays) == 0 || len(delays) > delaysMax {
			return usage("Delays needs 1 to %d of them; it got %d", delaysMax, len(delays))
		}
		for _, delay := range delays {
			policy.Delays = append(policy.Delays, durationpb.New(delay))
		}
		return nil
	}
}

// waitSettings are the options of a wait.
type waitSettings struct {
	timeout    time.Duration
	hasTimeout bool
	hasDefault bool
	fallback   any
}

// limit notes the timeout in what is asked of the server.
func (s *waitSettings) limit(spec *pb.WaitSpec) {
	if s.hasTimeout {
		spec.Duration = durationpb.New(min(max(0, s.timeout), durationMax))
	}
}

// WaitOption is a Timeout or a Default.
type WaitOption interface{ applyWait(*waitSettings) }

// DefaultOption is the option that Default makes.
type DefaultOption struct{ value any }

func (d DefaultOption) applyWait(s *waitSettings) { s.hasDefault, s.fallback = true, d.value }

// Default is what a wait or question returns when it times out.
func Default(value any) DefaultOption { return DefaultOption{value} }

// fallbackOf is the Default as a T; false where it is something else. Nil is the zero value.
func fallbackOf[T any](s *waitSettings) (T, bool) {
	value, isT := s.fallback.(T)
	return value, isT || s.fallback == nil
}

type childSettings struct {
	key, runID, queue string
	priority          *uint32
	tags              map[string]string
	close             ParentClose
}

// ChildOption is a Key, RunID, Queue, Priority, Tags or ParentClose.
type ChildOption interface{ applyChild(*childSettings) }

func childSettingsOf(options []ChildOption) childSettings {
	var settings childSettings
	for _, option := range options {
		option.applyChild(&settings)
	}
	return settings
}

// ParentClose says what happens to a child if its parent ends first, in whatever way. Default: CancelChild, so that
// a cancelled run leaves nothing behind.
type ParentClose int

// CancelChild cancels the child, with a grace period of 10 s for its cleanup; AbandonChild lets it continue, for work
// that must complete on its own.
const (
	CancelChild ParentClose = iota
	AbandonChild
)

func (c ParentClose) applyChild(s *childSettings) { s.close = c }

func (c ParentClose) policy() pb.ParentClosePolicy {
	if c == AbandonChild {
		return pb.ParentClosePolicy_PARENT_CLOSE_POLICY_ABANDON
	}
	return pb.ParentClosePolicy_PARENT_CLOSE_POLICY_CANCEL
}

// RunID names a run. Default: from the workflow's ID template, else a random one;
// of children, from the parent's id and the step's key.
type RunID string

func (id RunID) applyChild(s *childSettings) { s.runID = string(id) }
func (id RunID) applyStart(s *pb.StartRunRequest) {
	s.RunId = string(id)
}

// Queue is where a run waits for a worker. Default: the workflow's, else `default`.
type Queue string

func (q Queue) applyChild(s *childSettings)      { s.queue = string(q) }
func (q Queue) applyStart(s *pb.StartRunRequest) { s.Queue = string(q) }

// Priority of a run: 0 to 9, higher first. Default: 5.
type Priority uint32

func (p Priority) applyChild(s *childSettings)      { s.priority = new(uint32(p)) }
func (p Priority) applyStart(s *pb.StartRunRequest) { s.Priority = new(uint32(p)) }

// Tags of a run, at most 64.
type Tags map[string]string

func (t Tags) applyChild(s *childSettings)      { s.tags = t }
func (t Tags) applyStart(s *pb.StartRunRequest) { s.Tags = t }
