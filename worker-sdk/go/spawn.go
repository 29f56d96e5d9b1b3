package pawl

import (
	"context"
	"errors"
	"fmt"
	"sync"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// ChildHandle is a child run in the background.
type ChildHandle[Out any] struct {
	RunID string

	place *place
	key   string
	call  *waitCall

	mu    sync.Mutex
	over  bool
	value Out
	err   error
}

// Spawn starts a child run in the background, as a step, and returns its handle. Without ParentClose the child is
// cancelled if this run ends first.
func Spawn[In, Out any](ctx context.Context, workflow *Workflow[In, Out], in In, options ...ChildOption) (*ChildHandle[Out], error) {
	return spawn[Out](ctx, workflow.def.name, workflow.def, in, options)
}

// SpawnNamed is Spawn for a workflow of another program, in any language.
func SpawnNamed[Out any](ctx context.Context, workflow string, in any, options ...ChildOption) (*ChildHandle[Out], error) {
	return spawn[Out](ctx, workflow, nil, in, options)
}

func spawn[Out any](ctx context.Context, name string, def *definition, in any, options []ChildOption) (*ChildHandle[Out], error) {
	p, inRun := enter(ctx)
	if !inRun {
		return nil, usage("Spawn(%q) needs a run: it was called with a context that is in none", name)
	}
	if err := checkName("a child", name); err != nil {
		return nil, err
	}
	r, settings := p.run, childSettingsOf(options)
	start, err := r.claim(p.scope, spaceSpawn, name, settings.key)
	if err != nil {
		return nil, err
	}
	r.mu.Unlock()
	key, err := r.claim(p.scope, spaceChild, name, settings.key)
	if err != nil {
		return nil, err
	}
	r.mu.Unlock()
	// The child is started in a step, so that a replay has its run id without asking.
	body := func(context.Context) (string, error) { return r.startInBackground(name, def, in, settings, start) }
	call := &stepCall{name: name, claimed: start, kind: pb.StepKind_STEP_KIND_STEP, body: bodyOf(name, body)}
	runID, err := resultOfStep[string](ctx, p, call)
	if err != nil {
		return nil, err
	}
	return &ChildHandle[Out]{
		RunID: runID, place: p, key: key,
		call: &waitCall{name: name, kind: pb.StepKind_STEP_KIND_CHILD, spec: &pb.WaitSpec{ChildRunId: runID}},
	}, nil
}

func (r *run) startInBackground(name string, def *definition, in any, settings childSettings, stepKey string) (string, error) {
	request, err := r.childRequest(name, def, in, settings, stepKey)
	if err != nil {
		return "", err
	}
	if request.Input, err = r.store(request.Input, fmt.Sprintf("the input of child %q", name)); err != nil {
		return "", err
	}
	request.Parent = &pb.ParentRef{RunId: r.id, StepKey: stepKey}
	message, err := r.persist(func() (proto.Message, error) {
		r.mu.Lock()
		request.ParentFence = r.fence
		r.mu.Unlock()
		return r.link.startRun(r.present, request, def)
	})
	var refusal *RequestError
	if errors.As(err, &refusal) {
		return "", Terminal(err)
	}
	if err != nil {
		return "", err
	}
	return message.(*pb.StartRunResponse).GetRun().GetRunId(), nil
}

// Result waits for the child's end and returns its result, or a *StepFailedError if it failed. It may be asked for
// again.
func (h *ChildHandle[Out]) Result(ctx context.Context) (Out, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return h.value, h.err
	}
	var none Out
	if err := h.call.limitBy(ctx); err != nil {
		return none, err
	}
	r := h.place.run
	r.lockPresent()
	end, err := r.awaitAt(ctx, h.place.scope, h.key, h.call)
	if cancelled, is := find[*Cancelled](err); is {
		return none, cancelled
	}
	h.over, h.err = true, err
	if err == nil {
		h.value, h.err = decode[Out](end.payload, fmt.Sprintf("the result of child %q", h.call.name))
	}
	return h.value, h.err
}
