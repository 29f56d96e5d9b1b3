// Package pawl writes durable workflows in Go and runs them on Pawl.
//
// A workflow is an ordinary function of a context.Context and an input. What it
// does through this package (Step, Map, All, Race, Sleep, Signal, Child …) is
// recorded by the server: when the worker dies, another one runs the same
// function again, and everything recorded hands out its result instead of
// running, so that the code is at once where it was.
//
//	var order = pawl.NewWorkflow("order", func(ctx context.Context, in Order) (Receipt, error) {
//		charge, err := pawl.Step(ctx, "charge", func(ctx context.Context) (Charge, error) {
//			return charge(ctx, in)
//		}, pawl.Retry{MaxAttempts: 5})
//		…
//	})
//
// # What a run's code may not do
//
// Whatever has an effect, or could come out differently, belongs in a step.
// Work concurrently goes through All, Race and Map, whose branches name their
// steps apart; a name that two goroutines of one scope use at the same time is
// an AmbiguousStepKeyError, which ends the run on its first day.
//
// # How a run leaves a worker
//
// A run that only waits is given back, and one whose lease is lost is dropped.
// Its goroutines then end by runtime.Goexit at the call of this package that
// they are in, or at their next one, so that no `if err != nil` and no recover
// of user code mistakes that for a failure. Deferred functions run, as Goexit
// has it: use them for memory and locks, not for effects. Calls of this package
// in them do nothing, and Leaving says that it is no return.
package pawl
