package pawl

import (
	"context"

	pb "pawl.dev/pawl/pawlv1"
)

// Compensate registers fn, which undoes a step if the run later fails, times out or is
// cancelled; call it after that step. Compensations run in reverse order, as steps with
// their own options; like other steps they run at least once. One that fails permanently
// is reported with the run's error, and the others still run. Called before its step, fn
// also runs if the step may have had its effect without a record; it must then tolerate
// that there is nothing to undo. Outside of a run Compensate does nothing.
func Compensate(ctx context.Context, name string, fn func(ctx context.Context) error, options ...StepOption) error {
	p, inRun := placeOf(ctx)
	if !inRun {
		return nil
	}
	if err := checkName("a compensation", name); err != nil {
		return err
	}
	if p.scope.insideStep {
		return usage("Compensate(%q) inside of a step would be forgotten in a replay; call it in the workflow, before or after the step", name)
	}
	r := p.run
	settings := r.stepSettings(options)
	if settings.err != nil {
		return settings.err
	}
	body := bodyOf(name, func(ctx context.Context) (Void, error) { return Void{}, fn(ctx) })
	key, err := r.claim(p.scope, spaceCompensate, name, settings.key)
	if err != nil {
		return err
	}
	call := &stepCall{name: name, claimed: key, kind: pb.StepKind_STEP_KIND_STEP, settings: settings, body: body}
	r.compensations = append(r.compensations, compensation{key, call})
	r.mu.Unlock()
	return nil
}

// Cleanup is for deferred functions: calls in fn work even if their branch has ended or
// the run is being cancelled. Its steps have their own scope.
func Cleanup(ctx context.Context, fn func(ctx context.Context) error) error {
	p, inRun := enter(ctx)
	if !inRun {
		return fn(context.WithoutCancel(ctx))
	}
	r := p.run
	op, err := r.open(p.scope, spaceCleanup, "cleanup", "", pb.StepKind_STEP_KIND_UNSPECIFIED)
	if err != nil {
		return err
	}
	r.mu.Unlock()
	inner := p.scope.shield(op.key[len(p.scope.prefix):])
	within, stop := r.whilePresent(context.WithoutCancel(ctx))
	defer stop()
	err = fn(withPlace(within, &place{run: r, scope: inner, body: p.body, span: p.span}))
	r.lockPresent()
	op.close()
	r.mu.Unlock()
	return err
}
