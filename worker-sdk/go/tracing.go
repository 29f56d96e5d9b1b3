package pawl

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

// StepTracer is told of each attempt of a step that starts, and returns the context for
// its body and what to call once the attempt's end is on record. That is not called for
// an attempt that has none, and nothing is called for a replay. An adapter to
// OpenTelemetry is a few lines, see README.md.
type StepTracer func(ctx context.Context, step TracedStep) (context.Context, func(StepEnd))

// TracedStep is an attempt of a step.
type TracedStep struct {
	RunID, Workflow string
	// How often the run has been leased out, from 1.
	RunAttempt    int
	StepKey, Name string
	// From 1.
	Attempt int
	// W3C context of the run's span, which the server sends when the run ends. Steps
	// hang below it, where ctx has no span of the step around.
	Traceparent string
}

// StepEnd is how an attempt ended, as it is recorded.
type StepEnd struct {
	// `completed`, `failed`, `retrying` or `cancelled`.
	Outcome string
	// The type of the error, where it failed.
	ErrorType string
	// When the body was over.
	At time.Time
}

var traceparentForm = regexp.MustCompile("^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")

// traceparent is the context of the run's span, whose id all processes derive alike.
func (r *run) traceparent() string {
	traceID, flags := digestText("pawl.trace\n" + r.id)[:32], "01"
	if match := traceparentForm.FindStringSubmatch(r.item.Traceparent); match != nil {
		traceID, flags = match[1], match[2]
	}
	which := ""
	if r.memo.retries > 0 {
		which = fmt.Sprintf("\n\n%d", r.memo.retries)
	}
	return "00-" + traceID + "-" + digestText("pawl.span\n" + r.id + which)[:16] + "-" + flags
}

// beginTrace tells the worker's tracer, if it has one.
func (op *stepOperation) beginTrace(ctx context.Context) context.Context {
	r := op.run
	op.tell = nil
	if r.def.tracer == nil {
		return ctx
	}
	traced, end := r.def.tracer(ctx, TracedStep{
		RunID: r.id, Workflow: r.def.name, RunAttempt: int(r.item.Lease.GetAttempt()),
		StepKey: op.key, Name: op.name, Attempt: int(op.attempt), Traceparent: r.traceparent(),
	})
	op.tell = end
	return traced
}

func (op *stepOperation) endTrace(outcome, errorType string) {
	if op.tell != nil {
		op.tell(StepEnd{Outcome: outcome, ErrorType: errorType, At: op.over})
		op.tell = nil
	}
}
