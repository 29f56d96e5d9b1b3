package pawl

import "context"

// RunInfo is what a run's code can know of its run.
type RunInfo struct {
	RunID, Workflow, Version string
	// How often the run has been leased out, from 1.
	Attempt           int
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
	return AttemptInfo{StepKey: key, Number: int(p.body.number), IdempotencyKey: p.run.id + "/" + key}, true
}
