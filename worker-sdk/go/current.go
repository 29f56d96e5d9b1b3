package pawl

import (
	"context"

	pb "pawl.dev/pawl/pawlv1"
)

// RunInfo describes the run that the code belongs to.
type RunInfo struct {
	RunID, Workflow, Version string
	// How many times the run has been leased, counted from 1. It differs between executions.
	Attempt int
	// Those that it was started with; see CurrentTags.
	Tags              map[string]string
	SessionID, UserID string
	// The W3C trace context that the run was started with; empty if there is none.
	Traceparent string
}

// CurrentRun returns the run of a context; it is empty outside of a run.
func CurrentRun(ctx context.Context) RunInfo {
	p, inRun := placeOf(ctx)
	if !inRun {
		return RunInfo{}
	}
	item := p.run.item
	return RunInfo{
		RunID: p.run.id, Workflow: item.Workflow, Version: item.Version, Attempt: int(item.Lease.GetAttempt()),
		Tags: item.Tags, SessionID: item.SessionId, UserID: item.UserId, Traceparent: item.Traceparent,
	}
}

// CurrentTags returns the current tags of the run, including changes since its start. They are recorded.
func CurrentTags(ctx context.Context) (map[string]string, error) {
	p, inRun := placeOf(ctx)
	if !inRun {
		return nil, usage("CurrentTags needs a run: it was called with a context that is in none")
	}
	call := &stepCall{name: "tags", kind: pb.StepKind_STEP_KIND_VALUE}
	return step(ctx, call, func(ctx context.Context) (map[string]string, error) {
		run, err := p.run.link.getRun(ctx, p.run.id)
		if err != nil || run.Tags == nil {
			return map[string]string{}, err
		}
		return run.Tags, nil
	}, nil)
}

// AttemptInfo describes the attempt of a step that the code belongs to.
type AttemptInfo struct {
	StepKey string
	// Counted from 1. It may skip numbers after a crash.
	Number int
	// Identical for all attempts of the step and different for every other step of any run. Pass it to payment
	// and model APIs, so that a repeated attempt has no second effect.
	IdempotencyKey string
}

// CurrentAttempt returns the attempt of the step that a context belongs to; false outside of a step.
func CurrentAttempt(ctx context.Context) (AttemptInfo, bool) {
	p, inRun := placeOf(ctx)
	if !inRun || p.body == nil {
		return AttemptInfo{}, false
	}
	key := p.body.step.key
	return AttemptInfo{
		StepKey: key, Number: int(p.body.number), IdempotencyKey: orElse(p.run.item.RunUid, p.run.id) + "/" + key,
	}, true
}

// Leaving tells, in a deferred function, that the run is leaving this worker
// rather than returning: it continues elsewhere or later, so nothing has failed.
func Leaving(ctx context.Context) bool {
	p, ok := placeOf(ctx)
	return ok && p.run.isGone()
}
