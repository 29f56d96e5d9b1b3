package pawl

import (
	"context"
	"fmt"

	pb "pawl.dev/pawl/pawlv1"
)

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
	p, inRun := enter(ctx)
	if !inRun {
		return none, usage("ChildNamed(%q) needs a run: it was called with a context that is in none", name)
	}
	settings := childSettingsOf(options)
	call := &waitCall{space: spaceChild, name: name, key: settings.key, kind: pb.StepKind_STEP_KIND_CHILD, spec: &pb.WaitSpec{}, namesChild: settings.runID != "", definition: def}
	call.child = func(stepKey string) (*pb.StartRunRequest, error) {
		return p.run.childRequest(name, def, in, settings, stepKey)
	}
	end, err := p.run.await(ctx, p.scope, call)
	if err != nil {
		return none, err
	}
	return decode[Out](end.payload, fmt.Sprintf("the result of child %q", name))
}

// childRequest starts a child of the run.
func (r *run) childRequest(name string, def *definition, in any, settings childSettings, stepKey string) (*pb.StartRunRequest, error) {
	input, err := encode(in, fmt.Sprintf("the input of child %q", name))
	if err != nil {
		return nil, err
	}
	request := &pb.StartRunRequest{
		Workflow: name, Input: input, RunId: orElse(settings.runID, childRunID(r.id, stepKey)),
		Queue: settings.queue, Priority: settings.priority, Tags: settings.tags,
		SessionId: r.item.SessionId, UserId: r.item.UserId, Traceparent: r.item.Traceparent,
		ParentClosePolicy: settings.close.policy(),
	}
	def.applyDefaults(request)
	return request, checkStart(request)
}
