package pawl

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	pb "pawl.dev/pawl/pawlv1"
)

// LocalOptions say what comes from outside to a run without a server.
type LocalOptions struct {
	// Default: `local-` and a random id.
	RunID string
	// Signals that have been sent to the run already: payloads by name, in order.
	Signals map[string][]any
	// Answers to the questions of the run, by question or by the question's key, in order. An approval is answered by
	// a bool or a Vote; nil skips a question that is skippable.
	Answers map[string][]any
	// Answer is asked for each question that has no answer in Answers; false if there is none.
	Answer func(question LocalQuestion) (any, bool)
	// What other processes post to the run's callbacks: bodies by name, in order.
	Callbacks map[string][]any
	// The workflows of children that the code names only. Those that it passes itself are known.
	Workflows []AnyWorkflow
	// Sleeps, timeouts of waits and delays between attempts are over immediately. Default: false.
	SkipTime bool
	// Receives the live output; DecodeEvent decodes its payload.
	OnEvent func(event *pb.Event)
}

// LocalQuestion is a question of a run without a server.
type LocalQuestion struct {
	Question string
	Type     pb.QuestionType
	// The values of a choice.
	Options   []string
	Assignees []string
	Skippable bool
	StepKey   string
}

// RunLocally executes a workflow in this process without a server, for unit tests and scripts: it has the same step
// keys, results and errors as with a server, but nothing is kept. Children are executed in the same way and share the
// prepared signals, answers and callbacks. If ctx is done, the run is cancelled and cleans up. A run that waits for
// something that was not prepared fails with a UsageError that says how to prepare it.
func RunLocally[In, Out any](ctx context.Context, workflow *Workflow[In, Out], in In, options ...LocalOptions) (Out, error) {
	var none Out
	var chosen LocalOptions
	if len(options) > 1 {
		return none, usage("RunLocally(%q) has more than one set of options", workflow.def.name)
	} else if len(options) == 1 {
		chosen = options[0]
	}
	if _, inRun := placeOf(ctx); inRun {
		return none, usage("RunLocally inside of a run would not be recorded as a part of it; use Child")
	}
	input, err := encode(in, fmt.Sprintf("the input of workflow %q", workflow.def.name))
	if err != nil {
		return none, err
	}
	runID := orElse(chosen.RunID, "local-"+newUUIDv7())
	output, err := newOutside(chosen).execute(ctx, workflow.def, input, runID)
	if err != nil {
		return none, err
	}
	return decode[Out](output, "the result of run "+runID)
}

// newOutside prepares what a run and its children get.
func newOutside(options LocalOptions) *outside {
	o := &outside{options: options, signals: map[string][]any{}, callbacks: map[string][]any{}, answers: map[string][]any{}}
	for _, each := range []struct{ to, from map[string][]any }{
		{o.signals, options.Signals}, {o.callbacks, options.Callbacks}, {o.answers, options.Answers},
	} {
		for name, values := range maps.All(each.from) {
			each.to[name] = slices.Clone(values)
		}
	}
	return o
}

// execute executes a run until it has ended.
func (o *outside) execute(ctx context.Context, def *definition, input *pb.Payload, runID string) (*pb.Payload, error) {
	link := newLocalLink(o)
	item := &pb.WorkItem{
		Lease: &pb.Lease{RunId: runID, Fence: 1, Attempt: 1}, Workflow: def.name, Version: def.options.Version, Input: input,
	}
	r := newRun(def, item, newMemo(), link, slog.New(slog.NewTextHandler(io.Discard, nil)))
	// There is no journal to execute it from again.
	r.replaysAlways = false
	link.attach(r)
	go r.perform()
	select {
	case <-link.over:
	case <-ctx.Done():
		r.cancelBy(0, context.Cause(ctx).Error(), 0)
		<-link.over
	}
	r.leave("the local run is over")
	link.endChildren()
	return link.output, link.err
}
