// Package pawl writes durable workflows in Go and runs them on Pawl.
//
// A workflow is an ordinary function of a context.Context and an input. The
// server records what it does through this package (Step, Map, All, Race, Sleep,
// Signal, Child …). If the worker crashes, another one runs the same function
// again, and each recorded operation returns its result instead of running, so
// the code fast-forwards to where it stopped.
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
// Anything with side effects, or whose result can vary, belongs in a step. Use
// All, Race and Map for concurrent work, because their branches have separate
// scopes; if two goroutines of one scope use a name at the same time, the first
// execution ends with an AmbiguousStepKeyError.
//
// # How a run leaves a worker
//
// A run that only waits is given back, and one whose lease is lost is dropped.
// Its goroutines then end by runtime.Goexit at the call of this package that
// they are in, or at their next one, so that no `if err != nil` and no recover
// of user code mistakes this for a failure. Deferred functions still run: use
// them for memory and locks, not for effects. Calls of this package in them do
// nothing, and Leaving reports that the function did not return.
package pawl
