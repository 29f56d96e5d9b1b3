package pawl

import (
	"context"

	pb "pawl.dev/pawl/pawlv1"
)

// RunInfo is what a run's code can know of its run.
type RunInfo struct {
	RunID, Workflow, Version string
	// How many times the run has been leased, counted from 1. It differs between executions.
	Attempt int
	// Those that it was started with; see CurrentTags.
	Tags              map[string]string
	SessionID, UserID string
}

// CurrentRun is the run that a context is in; empty outside of one.
func CurrentRun(ctx context.Context) RunInfo {
	p, inRun := placeOf(ctx)
	if !inRun {
		return RunInfo{}
	}
	item := p.run.item
	return RunInfo{
		RunID: p.run.id, Workflow: item.Workflow, Version: item.Version, Attempt: int(item.Lease.GetAttempt()),
		Tags: item.Tags, SessionID: item.SessionId, UserID: item.UserId,
	}
}

// CurrentTags are the run's tags as they are now, recorded: Handle and others may change them at any time.
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

// AttemptInfo is what a step's body can know of itself.
type AttemptInfo struct {
	StepKey string
	// From 1.
	Number int
	// The same for every attempt of the step: hand it to payment and model APIs.
	IdempotencyKey string
}

// CurrentAttempt is the attempt of the step whose body a context is in; false outside of one.
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
