package pawl

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// enter finds the place of a call, and notes that a step has steps inside.
func enter(ctx context.Context) (*place, bool) {
	p, ok := placeOf(ctx)
	if ok && p.body != nil {
		p.body.step.hasInner.Store(true)
	}
	return p, ok
}

// Step runs fn and records its result under name. In every later execution of the
// run the recorded result is returned, and fn does not run.
//
// A step runs at least once. If the worker crashes after fn has returned and before
// the server has recorded the result, fn runs again, with a higher attempt. Make
// effects idempotent: pass the idempotency key of CurrentAttempt(ctx), which is the
// same for all attempts, to the service that you call. For an effect that must not
// happen twice and has no idempotency key, use AtMostOnce.
//
// An error of fn is retried according to the step's Retry; without one there is no
// retry. When no attempt is left, the error is a *StepFailedError, with the same content in
// every replay.
//
// The context of fn is cancelled when the run is cancelled or moves to another worker,
// or when its branch or timeout ends. Outside of a run, fn is simply called.
func Step[T any](ctx context.Context, name string, fn func(ctx context.Context) (T, error), options ...StepOption) (T, error) {
	return step(ctx, &stepCall{name: name, kind: pb.StepKind_STEP_KIND_STEP}, fn, options)
}

// Do is Step for a function without a result.
func Do(ctx context.Context, name string, fn func(ctx context.Context) error, options ...StepOption) error {
	_, err := Step(ctx, name, func(ctx context.Context) (Void, error) { return Void{}, fn(ctx) }, options...)
	return err
}

// Apply is Step with an input. A digest of the input is recorded; if it differs in a
// replay, the run is paused with NON_DETERMINISM.
func Apply[In, Out any](ctx context.Context, name string, fn func(ctx context.Context, in In) (Out, error), in In, options ...StepOption) (Out, error) {
	what := fmt.Sprintf("the input of step %q", name)
	call := &stepCall{name: name, kind: pb.StepKind_STEP_KIND_STEP}
	var err error
	var none Out
	if call.inputDigest, err = digest([]any{in}, what); err != nil {
		return none, err
	}
	input, err := encode(in, what)
	if err != nil {
		return none, err
	}
	if len(input.Data) <= shownInputBytesMax {
		call.input = input
	}
	return step(ctx, call, func(ctx context.Context) (Out, error) { return fn(ctx, in) }, options)
}

func step[T any](ctx context.Context, call *stepCall, fn func(ctx context.Context) (T, error), options []StepOption) (T, error) {
	var none T
	p, inRun := enter(ctx)
	if !inRun {
		return fn(ctx)
	}
	if err := checkName("a step", call.name); err != nil {
		return none, err
	}
	call.settings = p.run.stepSettings(options)
	if call.settings.err != nil {
		return none, call.settings.err
	}
	call.body = bodyOf(call.name, fn)
	result, err := p.run.step(ctx, p.scope, call)
	if err != nil {
		return none, err
	}
	if known, isNew := result.value.(*T); isNew {
		return *known, nil
	}
	var value T
	if err := decodeInto(result.payload, &value); err != nil {
		p.run.exit(&NonDeterminismError{
			StepKey:     p.scope.prefix + call.name,
			Recorded:    fmt.Sprintf("a value that does not fit (%v)", err),
			Attempted:   fmt.Sprintf("a %T", value),
			LikelyCause: "the step's result type was changed while this run was under way, or does not read what it writes as JSON",
		})
	}
	return value, nil
}

// bodyOf is a body whose result is encoded, and read again: what the code gets is what a replay
// will give it, and what cannot be read back fails the attempt that made it.
func bodyOf[T any](name string, fn func(ctx context.Context) (T, error)) func(ctx context.Context) (stepResult, error) {
	return func(ctx context.Context) (stepResult, error) {
		made, err := fn(ctx)
		if err != nil {
			return stepResult{}, err
		}
		what := fmt.Sprintf("the result of step %q", name)
		payload, err := encode(made, what)
		if err != nil {
			return stepResult{}, err
		}
		value := new(T)
		if err := decodeInto(payload, value); err != nil {
			return stepResult{}, &SerializationError{What: what, Err: err, reading: true}
		}
		return stepResult{payload, value}, nil
	}
}

// Stream is Step for a body that yields strings. Watchers of the run see each one live;
// the result is the joined string.
func Stream(ctx context.Context, name string, fn func(ctx context.Context) iter.Seq2[string, error], options ...StepOption) (string, error) {
	return Step(ctx, name, func(ctx context.Context) (string, error) {
		var text strings.Builder
		// What is said live is the same text: a character that is yielded in pieces is said whole.
		rest := ""
		for part, err := range fn(ctx) {
			if err != nil {
				return "", err
			}
			text.WriteString(part)
			rest += part
			whole := len(rest) - incomplete(rest)
			if whole == 0 && part != "" {
				continue
			}
			if err := published(ctx, rest[:whole]); err != nil {
				return "", err
			}
			rest = rest[whole:]
		}
		if rest != "" {
			return text.String(), published(ctx, rest)
		}
		return text.String(), nil
	}, options...)
}

// incomplete is how many bytes at the end of a text are the beginning of a character.
func incomplete(text string) int {
	for size := 1; size < utf8.UTFMax && size <= len(text); size++ {
		if at := text[len(text)-size:]; utf8.RuneStart(at[0]) {
			if utf8.FullRuneInString(at) {
				return 0
			}
			return size
		}
	}
	return 0
}

// published sends what a step has yielded, unless the step is over.
func published[T any](ctx context.Context, item T) error {
	if err := publish(ctx, "output.delta", item); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Collect is Step for a body that yields items. Watchers of the run see each one live; the
// result is the list of them.
func Collect[T any](ctx context.Context, name string, fn func(ctx context.Context) iter.Seq2[T, error], options ...StepOption) ([]T, error) {
	return Step(ctx, name, func(ctx context.Context) ([]T, error) {
		items := []T{}
		err := consume(ctx, fn(ctx), func(item T) { items = append(items, item) })
		return items, err
	}, options...)
}

// Last is Collect with the last item as the result; the zero value if there is none.
func Last[T any](ctx context.Context, name string, fn func(ctx context.Context) iter.Seq2[T, error], options ...StepOption) (T, error) {
	return Step(ctx, name, func(ctx context.Context) (T, error) {
		var last T
		err := consume(ctx, fn(ctx), func(item T) { last = item })
		return last, err
	}, options...)
}

func consume[T any](ctx context.Context, items iter.Seq2[T, error], take func(T)) error {
	for item, err := range items {
		if err != nil {
			return err
		}
		take(item)
		if err := published(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

func value[T any](ctx context.Context, name string, fn func() T) (T, error) {
	return step(ctx, &stepCall{name: name, kind: pb.StepKind_STEP_KIND_VALUE}, func(context.Context) (T, error) { return fn(), nil }, nil)
}

// Now returns the time, with a precision of milliseconds. It is recorded, so it is the same in every replay.
func Now(ctx context.Context) (time.Time, error) {
	ms, err := value(ctx, "now", func() int64 { return time.Now().UnixMilli() })
	return time.UnixMilli(ms), err
}

// Random returns a random number of at least 0 and below 1. It is recorded.
func Random(ctx context.Context) (float64, error) { return value(ctx, "random", rand.Float64) }

// UUID returns a random UUID. It is recorded.
func UUID(ctx context.Context) (string, error) { return value(ctx, "uuid", newUUID) }

// Name distinguishes a sleep from others of its scope, and people what it is for.
type Name string

// Sleep waits for a duration. The server keeps the timer, and no worker holds the run.
func Sleep(ctx context.Context, duration time.Duration, name ...Name) error {
	return sleep(ctx, &pb.WaitSpec{Duration: durationpb.New(max(0, duration))}, duration, name)
}

// SleepUntil waits until a time.
func SleepUntil(ctx context.Context, moment time.Time, name ...Name) error {
	return sleep(ctx, &pb.WaitSpec{Until: timestamppb.New(moment)}, time.Until(moment), name)
}

// SleepCron waits until the next time that matches a cron expression:
// SleepCron(ctx, "0 9 * * MON-FRI", berlin). Without a location it uses UTC. It only works in a run.
func SleepCron(ctx context.Context, cron string, location *time.Location, name ...Name) error {
	zone := "UTC"
	if location != nil {
		zone = location.String()
	}
	if location == time.Local {
		return usage("SleepCron needs a location by name, such as time.LoadLocation makes: what is local differs between workers")
	}
	if strings.TrimSpace(cron) == "" {
		return usage(`SleepCron got an empty cron expression; "0 9 * * *" is every day at 9`)
	}
	if _, inRun := placeOf(ctx); !inRun {
		return usage("SleepCron(%q) needs a run: it was called with a context that is in none", cron)
	}
	return sleep(ctx, &pb.WaitSpec{Cron: cron, TimeZone: zone}, 0, name)
}

func sleep(ctx context.Context, spec *pb.WaitSpec, duration time.Duration, names []Name) error {
	name := "sleep"
	if len(names) > 0 {
		name = string(names[0])
	}
	p, inRun := enter(ctx)
	if inRun {
		_, err := p.run.await(ctx, p.scope, &waitCall{space: spaceSleep, name: name, kind: pb.StepKind_STEP_KIND_SLEEP, spec: spec})
		return err
	}
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Signal waits for the next signal with this name and returns its payload. A signal that
// was sent before the wait counts. Without a Timeout it waits forever, because waiting
// costs nothing. At the Timeout it returns the Default, or a WaitTimeoutError without one.
func Signal[T any](ctx context.Context, name string, options ...WaitOption) (T, error) {
	var none T
	var settings waitSettings
	for _, option := range options {
		option.applyWait(&settings)
	}
	fallback, fits := fallbackOf[T](&settings)
	if !fits {
		return none, usage("the Default of signal %q is a %T, not a %T", name, settings.fallback, none)
	}
	p, inRun := enter(ctx)
	if !inRun {
		return none, usage("Signal(%q) needs a run: it was called with a context that is in none", name)
	}
	spec := &pb.WaitSpec{SignalName: name}
	settings.limit(spec)
	end, err := p.run.await(ctx, p.scope, &waitCall{space: spaceSignal, name: name, kind: pb.StepKind_STEP_KIND_SIGNAL, spec: spec})
	if err != nil {
		return none, err
	}
	if end.outcome == "timed_out" {
		if settings.hasDefault {
			return fallback, nil
		}
		return none, &WaitTimeoutError{What: fmt.Sprintf("the signal %q", name), StepKey: end.stepKey}
	}
	return decode[T](end.payload, fmt.Sprintf("the payload of signal %q", name))
}

// Child starts a child run and waits for its result. If the child fails, it returns a
// *StepFailedError. If the workflow is not registered yet, the child waits for a worker.
func Child[In, Out any](ctx context.Context, workflow *Workflow[In, Out], in In, options ...ChildOption) (Out, error) {
	if _, inRun := enter(ctx); !inRun {
		return workflow.Call(ctx, in)
	}
	return child[Out](ctx, workflow.def.name, workflow.def, in, options)
}

// ChildNamed is Child for a workflow of another program, in any language.
func ChildNamed[Out any](ctx context.Context, workflow string, in any, options ...ChildOption) (Out, error) {
	return child[Out](ctx, workflow, nil, in, options)
}

func child[Out any](ctx context.Context, name string, def *definition, in any, options []ChildOption) (Out, error) {
	var none Out
	var settings childSettings
	for _, option := range options {
		option.applyChild(&settings)
	}
	p, inRun := enter(ctx)
	if !inRun {
		return none, usage("ChildNamed(%q) needs a run: it was called with a context that is in none", name)
	}
	call := &waitCall{space: spaceChild, name: name, key: settings.key, kind: pb.StepKind_STEP_KIND_CHILD, spec: &pb.WaitSpec{}, namesChild: settings.runID != ""}
	call.child = func(stepKey string) (*pb.StartRunRequest, error) {
		input, err := encode(in, fmt.Sprintf("the input of child %q", name))
		if err != nil {
			return nil, err
		}
		item := p.run.item
		request := &pb.StartRunRequest{
			Workflow: name, Input: input, RunId: orElse(settings.runID, childRunID(p.run.id, stepKey)),
			Queue: settings.queue, Priority: settings.priority, Tags: settings.tags,
			SessionId: item.SessionId, UserId: item.UserId, Traceparent: item.Traceparent,
			ParentClosePolicy: pb.ParentClosePolicy_PARENT_CLOSE_POLICY_CANCEL,
		}
		def.applyDefaults(request)
		return request, checkStart(request)
	}
	end, err := p.run.await(ctx, p.scope, call)
	if err != nil {
		return none, err
	}
	return decode[Out](end.payload, fmt.Sprintf("the result of child %q", name))
}

// applyDefaults fills in what the workflow says about its runs.
func (d *definition) applyDefaults(request *pb.StartRunRequest) {
	if d == nil {
		return
	}
	request.Queue = orElse(request.Queue, d.options.Queue)
	request.Timeouts = d.timeouts()
}

// timeouts are the limits of the workflow's runs; nil where there are none.
func (d *definition) timeouts() *pb.RunTimeouts {
	var timeouts *pb.RunTimeouts
	if d.options.Timeout > 0 || d.options.QueueTimeout > 0 {
		timeouts = &pb.RunTimeouts{}
	}
	if d.options.Timeout > 0 {
		timeouts.Run = durationpb.New(d.options.Timeout)
	}
	if d.options.QueueTimeout > 0 {
		timeouts.Queue = durationpb.New(d.options.QueueTimeout)
	}
	return timeouts
}
