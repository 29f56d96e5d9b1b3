package pawl

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// localLink is a platform within this process and for one run. It remembers nothing beyond that run, but it replies as
// the server does, so that a workflow has the same step keys and results.
type localLink struct {
	outside *outside
	// Closed once the run has an outcome.
	over   chan struct{}
	output *pb.Payload
	err    error

	mu       sync.Mutex
	run      *run
	isOver   bool
	seq      uint32
	failures map[string]int
	timers   map[string]*time.Timer
	// The waits that are open or resolved: asking for one again, as a callback's result does, changes nothing.
	waits map[string]bool
	// The signals that waits have taken, by step key.
	taken map[string]takenSignal
	// By run id, and by the step key of the wait for them.
	children map[string]*localChild
	awaited  map[string]*localChild
	payloads map[string][]byte
}

type takenSignal struct {
	name  string
	value any
}

// localChild is a child that is executed in this process, too.
type localChild struct {
	done   chan struct{}
	output *pb.Payload
	err    error
	// Ends the child, unless it continues without its parent.
	cancel  func()
	staysOn bool
}

func newLocalLink(o *outside) *localLink {
	return &localLink{
		outside: o, over: make(chan struct{}), failures: map[string]int{}, timers: map[string]*time.Timer{}, waits: map[string]bool{},
		taken: map[string]takenSignal{}, children: map[string]*localChild{}, awaited: map[string]*localChild{}, payloads: map[string][]byte{},
	}
}

func (l *localLink) attach(r *run) { l.run = r }

func (l *localLink) confirmsStarts() bool           { return false }
func (l *localLink) pushesWaits() bool              { return true }
func (l *localLink) suspends() bool                 { return false }
func (l *localLink) canStart() bool                 { return true }
func (l *localLink) stoodStillSince(time.Time) bool { return false }
func (l *localLink) noteStart(*attempt)             {}
func (l *localLink) flush(*run)                     {}
func (l *localLink) attention(*run) bool            { return true }
func (l *localLink) inherit(*run, *run)             {}
func (l *localLink) restart(*run)                   {}

// settle ends the run with its outcome; only the first one counts.
func (l *localLink) settle(output *pb.Payload, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isOver {
		l.isOver, l.output, l.err = true, output, err
		close(l.over)
	}
}

// exchange replies at once. Replies and resolutions of waits have one order.
func (l *localLink) exchange(r *run, request proto.Message, done func(proto.Message, error)) {
	l.mu.Lock()
	reply, then := l.reply(request)
	done(reply, nil)
	l.mu.Unlock()
	if then != nil {
		go then()
	}
}

// reply is what the server would say, and what follows from it. The link is locked.
func (l *localLink) reply(request proto.Message) (proto.Message, func()) {
	l.seq++
	switch known := request.(type) {
	case *pb.StepStartedRequest:
		if known.Wait == nil {
			execute := &pb.StepStartedResponse_Execute{Attempt: uint32(l.failures[known.StepKey] + 1)}
			return &pb.StepStartedResponse{Outcome: &pb.StepStartedResponse_Execute_{Execute: execute}}, nil
		}
		return l.await(known)
	case *pb.StepCompletedRequest:
		return &pb.StepCompletedResponse{Seq: l.seq}, nil
	case *pb.StepFailedRequest:
		return l.failed(known), nil
	case *pb.CompleteRunRequest:
		return &pb.CompleteRunResponse{}, func() {
			output, err := l.download(context.Background(), known.Output)
			l.settle(output, err)
		}
	case *pb.FailRunRequest:
		failure := failureOf(known.Failure)
		return &pb.FailRunResponse{}, func() {
			l.settle(nil, &RunFailedError{Failure: failure, RunID: known.RunId, Cancelled: failure.Type == "Cancelled"})
		}
	case *pb.CloseWaitsRequest:
		for _, key := range known.StepKeys {
			l.close(key)
		}
		return &pb.CloseWaitsResponse{}, nil
	case *pb.BeginCleanUpRequest:
		return &pb.BeginCleanUpResponse{}, nil
	}
	return &pb.SuspendRunResponse{Resumed: true}, nil
}

// failed decides whether another attempt follows. The link is locked.
func (l *localLink) failed(request *pb.StepFailedRequest) *pb.StepFailedResponse {
	l.failures[request.StepKey]++
	count, policy, failure := l.failures[request.StepKey], request.RetryPolicy, request.Failure
	if request.Cancelled || policy == nil || count >= int(policy.MaxAttempts) || failure.NonRetryable || slices.Contains(policy.NonRetryableTypes, failure.Type) {
		final := &pb.StepFailedResponse_Final{Action: pb.StepFailedResponse_Final_ACTION_THROW}
		return &pb.StepFailedResponse{Seq: l.seq, Next: &pb.StepFailedResponse_Final_{Final: final}}
	}
	delay := policyDelay(policy, count)
	if failure.RetryAfter != nil {
		delay = failure.RetryAfter.AsDuration()
	}
	if l.outside.options.SkipTime {
		delay = 0
	}
	retry := &pb.StepFailedResponse_Retry{Attempt: uint32(count + 1), Delay: durationpb.New(delay)}
	return &pb.StepFailedResponse{Seq: l.seq, Next: &pb.StepFailedResponse_Retry_{Retry: retry}}
}

// policyDelay is the delay after this number of failed attempts.
func policyDelay(policy *pb.RetryPolicy, failures int) time.Duration {
	delay := policy.InitialInterval.AsDuration()
	switch {
	case len(policy.Delays) > 0:
		return policy.Delays[min(failures, len(policy.Delays))-1].AsDuration()
	case policy.Backoff == pb.Backoff_BACKOFF_LINEAR:
		delay += time.Duration(failures-1) * policy.Increment.AsDuration()
	case policy.Backoff == pb.Backoff_BACKOFF_EXPONENTIAL:
		for range failures - 1 {
			delay = min(time.Duration(float64(delay)*policy.Coefficient), durationMax)
		}
	}
	if policy.MaxInterval != nil {
		delay = min(delay, policy.MaxInterval.AsDuration())
	}
	return delay
}

// await registers a wait; what resolves it comes afterwards. The link is locked.
func (l *localLink) await(request *pb.StepStartedRequest) (proto.Message, func()) {
	key, spec := request.StepKey, request.Wait
	wait := &pb.StepStartedResponse_Wait{Why: pb.StepStartedResponse_Wait_WHY_WAIT, WaitId: key, CallbackToken: url.PathEscape(key)}
	wait.CallbackUrl = "http://localhost.invalid/v1/callbacks/" + wait.CallbackToken
	var due *time.Time
	switch {
	case spec.Until != nil:
		moment := spec.Until.AsTime()
		due = &moment
	case spec.Duration != nil:
		moment := time.Now().Add(spec.Duration.AsDuration())
		due = &moment
	}
	if due != nil {
		wait.Until = timestamppb.New(*due)
	}
	var then func()
	if !l.waits[key] {
		l.waits[key] = true
		then = func() { l.resolve(request, due) }
	}
	return &pb.StepStartedResponse{Outcome: &pb.StepStartedResponse_Wait_{Wait: wait}}, then
}

// resolve does what the wait is for, or fails the run if that cannot come.
func (l *localLink) resolve(request *pb.StepStartedRequest, due *time.Time) {
	entry := &pb.JournalEntry{StepKey: request.StepKey, Kind: request.Kind}
	missing := func(what, option, name string) {
		if due == nil {
			l.settle(nil, usage("%s without a server; prepare it with pawl.LocalOptions{%s: map[string][]any{%q: {…}}}", what, option, name))
			return
		}
		entry.Outcome = pb.WaitOutcome_WAIT_OUTCOME_TIMED_OUT
		l.startTimer(entry, *due)
	}
	switch request.Kind {
	case pb.StepKind_STEP_KIND_CHILD:
		l.awaitChild(entry, request.Wait.ChildRunId)
	case pb.StepKind_STEP_KIND_SIGNAL:
		name := request.Wait.SignalName
		value, is := l.outside.take(l.outside.signals, name)
		if !is {
			missing(fmt.Sprintf("the run waits for the signal %q, which cannot come", name), "Signals", name)
			return
		}
		l.mu.Lock()
		l.taken[entry.StepKey] = takenSignal{name, value}
		l.mu.Unlock()
		l.push(entry, pb.WaitOutcome_WAIT_OUTCOME_SIGNALLED, value, fmt.Sprintf("the signal %q", name))
	case pb.StepKind_STEP_KIND_CALLBACK:
		name := request.Name
		value, is := l.outside.take(l.outside.callbacks, name)
		if !is {
			missing(fmt.Sprintf("the run waits for the callback %q, which nobody can call", name), "Callbacks", name)
			return
		}
		l.push(entry, pb.WaitOutcome_WAIT_OUTCOME_COMPLETED, value, fmt.Sprintf("the call of callback %q", name))
	case pb.StepKind_STEP_KIND_USER:
		prompt := request.Wait.Question.GetPrompt()
		if isAnswered := l.ask(entry, request.Wait.Question); !isAnswered {
			missing(fmt.Sprintf("the run asks %q, which nobody can answer", prompt), "Answers", prompt)
		}
	default:
		entry.Outcome = pb.WaitOutcome_WAIT_OUTCOME_FIRED
		if due == nil && !l.outside.options.SkipTime {
			l.settle(nil, usage("the run sleeps until the next time of %q, which only a server can tell; use pawl.LocalOptions{SkipTime: true}", request.Wait.Cron))
			return
		}
		if due == nil {
			due = &time.Time{}
		}
		l.startTimer(entry, *due)
	}
}

// startTimer resolves a wait when it is due.
func (l *localLink) startTimer(entry *pb.JournalEntry, due time.Time) {
	delay := time.Until(due)
	if l.outside.options.SkipTime {
		delay = 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timers[entry.StepKey] = time.AfterFunc(delay, func() { l.pushEntry(entry) })
}

// push resolves a wait with a value.
func (l *localLink) push(entry *pb.JournalEntry, outcome pb.WaitOutcome, value any, what string) {
	payload, err := encode(value, what)
	if err != nil {
		l.settle(nil, err)
		return
	}
	entry.Outcome, entry.Payload = outcome, payload
	l.pushEntry(entry)
}

func (l *localLink) pushEntry(entry *pb.JournalEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	entry.Type, entry.Seq = "workflow.wait.resolved", l.seq
	l.run.waitResolved(entry)
}

// close ends a wait that lost. The link is locked.
func (l *localLink) close(key string) {
	delete(l.waits, key)
	if timer := l.timers[key]; timer != nil {
		timer.Stop()
	}
	if taken, is := l.taken[key]; is {
		delete(l.taken, key)
		l.outside.giveBack(taken.name, taken.value)
	}
	if child := l.awaited[key]; child != nil && !child.staysOn {
		child.cancel()
	}
}

func (l *localLink) startRun(_ context.Context, request *pb.StartRunRequest, def *definition) (*pb.StartRunResponse, error) {
	for _, known := range l.outside.options.Workflows {
		if def == nil && known.Name() == request.Workflow {
			def = known.definition()
		}
	}
	if def == nil {
		return nil, usage("the child %q is known by its name only, which takes a server to find; give the workflow with pawl.LocalOptions{Workflows: …}", request.Workflow)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.children[request.RunId] == nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		child := &localChild{
			done: make(chan struct{}), staysOn: request.ParentClosePolicy == pb.ParentClosePolicy_PARENT_CLOSE_POLICY_ABANDON,
			cancel: func() { cancel(&Cancelled{Reason: "its parent no longer waits for it"}) },
		}
		l.children[request.RunId] = child
		go func() {
			defer close(child.done)
			input, err := l.download(ctx, request.Input)
			if err == nil {
				child.output, err = l.outside.execute(ctx, def, input, request.RunId)
			}
			child.err = err
		}()
	}
	return &pb.StartRunResponse{Run: &pb.Run{RunId: request.RunId}}, nil
}

func (l *localLink) awaitChild(entry *pb.JournalEntry, runID string) {
	l.mu.Lock()
	child := l.children[runID]
	if child != nil {
		l.awaited[entry.StepKey] = child
	}
	l.mu.Unlock()
	if child == nil {
		return
	}
	<-child.done
	if missing, is := find[*UsageError](child.err); is {
		// It is about how the test is written, and not for the code of the parent.
		l.settle(nil, missing)
		return
	}
	entry.Outcome, entry.Payload = pb.WaitOutcome_WAIT_OUTCOME_COMPLETED, child.output
	if child.err != nil {
		entry.Outcome = pb.WaitOutcome_WAIT_OUTCOME_FAILED
		if failed, is := find[*RunFailedError](child.err); is {
			child.err = failed.Failure
		}
		entry.Failure = toFailure(child.err)
	}
	l.pushEntry(entry)
}

// endChildren cancels the children that end with the run, and waits for their end.
func (l *localLink) endChildren() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, child := range l.children {
		if !child.staysOn {
			child.cancel()
			<-child.done
		}
	}
}

func (l *localLink) released(*run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, timer := range l.timers {
		timer.Stop()
	}
}

func (l *localLink) publish(r *run, _ uint32, event *pb.NewEvent, _ int) uint32 {
	if take := l.outside.options.OnEvent; take != nil {
		take(&pb.Event{
			RunId: r.id, Type: event.Type, Class: pb.EventClass_EVENT_CLASS_DELTA, EventId: event.EventId, ParentEventId: event.ParentEventId,
			StepKey: event.StepKey, Attempt: event.Attempt, ContentIndex: event.ContentIndex, Sequence: event.Sequence,
			At: event.SourceAt, Payload: event.Payload, Policy: event.Policy,
		})
	}
	return 0
}

// The run has the tags that it was started with: none.
func (l *localLink) getRun(_ context.Context, runID string) (*pb.Run, error) {
	return &pb.Run{RunId: runID}, nil
}

func (l *localLink) journal(context.Context, string, uint32, func([]*pb.JournalEntry)) error {
	return nil
}

func (l *localLink) upload(_ context.Context, data []byte) (*pb.PayloadRef, error) {
	ref := &pb.PayloadRef{Sha256: digestText(string(data)), Size: uint32(len(data))}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.payloads[ref.Sha256] = data
	return ref, nil
}

func (l *localLink) download(_ context.Context, payload *pb.Payload) (*pb.Payload, error) {
	if payload.GetRef() == nil {
		return payload, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return &pb.Payload{Encoding: payload.Encoding, Data: l.payloads[payload.Ref.Sha256]}, nil
}

func (l *localLink) cancelWait(_ context.Context, request *pb.CancelWaitRequest) error {
	l.mu.Lock()
	l.close(request.WaitId)
	l.mu.Unlock()
	l.pushEntry(&pb.JournalEntry{
		StepKey: request.WaitId, Outcome: pb.WaitOutcome_WAIT_OUTCOME_CANCELLED, Details: map[string]string{"comment": request.Comment},
	})
	return nil
}
