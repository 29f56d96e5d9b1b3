package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"pawl.dev/pawl"
)

type environment struct {
	folder, queue string
	deploy        int
}

type operation = map[string]any

type block = []operation

type input struct {
	Programs []block `json:"programs"`
}

func (env environment) run(ctx context.Context, in input) (any, error) {
	if len(in.Programs) == 0 {
		return nil, nil
	}
	program := in.Programs[min(env.deploy, len(in.Programs)-1)]
	i := interpreter{env}
	value, _, err := i.block(ctx, program, scope{variables: &variables{values: map[string]any{}}, attempt: 1})
	return plain(value), err
}

type interpreter struct{ environment }

// block does operations in order. `returned` ends the lists around, too, where they are of `try` and `repeat`.
func (i interpreter) block(ctx context.Context, operations block, s scope) (value any, returned bool, err error) {
	for _, op := range operations {
		value, returned, err = i.operation(ctx, op, s)
		if returned || err != nil {
			return value, returned, err
		}
	}
	return nil, false, nil
}

// blockOf is a block as it is nested in an operation.
func blockOf(list any) block {
	items, _ := list.([]any)
	operations := make(block, len(items))
	for n, item := range items {
		operations[n] = item.(operation)
	}
	return operations
}

func (i interpreter) operation(ctx context.Context, op operation, s scope) (any, bool, error) {
	switch op["op"] {
	case "return":
		return s.evaluate(op["value"]), true, nil
	case "try":
		return i.try(ctx, op, s)
	case "repeat":
		for n := range int(op["times"].(float64)) {
			s.set("i", n)
			value, returned, err := i.block(ctx, blockOf(op["do"]), s)
			if returned || err != nil {
				return value, returned, err
			}
		}
		return nil, false, nil
	case "throw":
		return nil, false, makeError(op)
	case "effect":
		return nil, false, i.effect(ctx, op["name"].(string))
	case "crash":
		return nil, false, i.crash(ctx, op["label"].(string))
	case "compensate":
		name := op["name"].(string)
		return nil, false, pawl.Compensate(ctx, name, func(ctx context.Context) error {
			_, err := i.body(ctx, op, inStep(ctx, s), name)
			return err
		}, stepOptions(op, s)...)
	case "signals":
		return nil, false, i.signals(ctx, op, s)
	case "emit":
		return nil, false, pawl.Emit(ctx, op["type"].(string), s.evaluate(op["data"]))
	}
	value, err := i.wait(ctx, op, s)
	if err == nil {
		s.set(op["as"], value)
	}
	return nil, false, err
}

func (i interpreter) try(ctx context.Context, op operation, s scope) (any, bool, error) {
	value, returned, err := i.block(ctx, blockOf(op["do"]), s)
	if handler, has := op["catch"]; has && err != nil {
		s.set("error", caught(err))
		value, returned, err = i.block(ctx, blockOf(handler), s)
	}
	if last, has := op["finally"]; has {
		if _, _, problem := i.block(ctx, blockOf(last), s); problem != nil {
			return nil, false, problem
		}
	}
	return value, returned, err
}

// wait does the operations that have a result.
func (i interpreter) wait(ctx context.Context, op operation, s scope) (any, error) {
	value := func(ctx context.Context, list any, s scope) (any, error) {
		value, _, err := i.block(ctx, blockOf(list), s)
		return value, err
	}
	name, _ := op["name"].(string)
	switch op["op"] {
	case "step":
		return i.step(ctx, op, s)
	case "all", "allSettled", "race":
		return i.branches(ctx, op, s)
	case "map":
		options := []pawl.MapOption[any]{}
		if op["keyed"] == true {
			options = append(options, pawl.ItemKey(func(item any) string { return fmt.Sprint(item) }))
		}
		if limit, has := op["concurrency"].(float64); has {
			options = append(options, pawl.Concurrency[any](int(limit)))
		}
		items, _ := s.evaluate(op["items"]).([]any)
		results, err := pawl.Map(ctx, name, items, func(ctx context.Context, item any) (any, error) {
			within := s
			within.item = item
			return value(ctx, op["do"], within)
		}, options...)
		return listOf(results), err
	case "scope":
		return pawl.Scope(ctx, name, func(ctx context.Context) (any, error) { return value(ctx, op["do"], s) })
	case "sleep":
		if name != "" {
			return nil, pawl.Sleep(ctx, milliseconds(op["ms"]), pawl.Name(name))
		}
		return nil, pawl.Sleep(ctx, milliseconds(op["ms"]))
	case "signal":
		return pawl.Signal[any](ctx, name, waitOptions(op, s)...)
	case "child":
		options := []pawl.ChildOption{pawl.Queue(i.queue)}
		if id, has := op["runId"].(string); has {
			options = append(options, pawl.RunID(id))
		}
		return pawl.ChildNamed[any](ctx, orElse(op["workflow"], "conformance").(string), operation{"programs": op["programs"]}, options...)
	case "spawn":
		return i.spawn(ctx, op)
	case "recorded":
		switch op["what"] {
		case "now":
			moment, err := pawl.Now(ctx)
			return moment.UnixMilli(), err
		case "random":
			return pawl.Random(ctx)
		}
		return pawl.UUID(ctx)
	case "cleanup":
		var result any
		err := pawl.Cleanup(ctx, func(ctx context.Context) (err error) {
			result, err = value(ctx, op["do"], s)
			return err
		})
		return result, err
	case "ask":
		return i.ask(ctx, op, s)
	case "approval":
		return i.approve(ctx, op, s)
	case "callback":
		return i.callback(ctx, op, s)
	case "result":
		return s.variable(op["of"].(string)).(*pawl.Callback[any]).Result(ctx)
	case "sleepUntil":
		return nil, sleepUntil(ctx, op)
	}
	return nil, pawl.Terminal(&programError{"UnknownOperation", fmt.Sprint(op["op"])})
}

func (i interpreter) spawn(ctx context.Context, op operation) (any, error) {
	options := []pawl.ChildOption{pawl.Queue(i.queue)}
	if op["abandon"] == true {
		options = append(options, pawl.AbandonChild)
	}
	child, err := pawl.SpawnNamed[any](ctx, "conformance", operation{"programs": op["programs"]}, options...)
	if err != nil || op["awaits"] != true {
		return nil, err
	}
	return child.Result(ctx)
}

func listOf(results []any) any {
	if results == nil {
		return nil
	}
	return results
}

func (i interpreter) branches(ctx context.Context, op operation, s scope) (any, error) {
	results := &variables{values: map[string]any{}}
	racers := map[string]func(ctx context.Context) (any, error){}
	branches := map[string]func(ctx context.Context) error{}
	for name, list := range op["branches"].(operation) {
		racers[name] = func(ctx context.Context) (any, error) {
			value, _, err := i.block(ctx, blockOf(list), s)
			return value, err
		}
		branches[name] = func(ctx context.Context) error {
			value, err := racers[name](ctx)
			results.set(name, value)
			return err
		}
	}
	switch op["op"] {
	case "race":
		return pawl.RaceNamed(ctx, racers)
	case "all":
		err := pawl.AllNamed(ctx, branches)
		return results.values, err
	}
	errs, err := pawl.AllSettledNamed(ctx, branches)
	for name, problem := range errs {
		if problem != nil {
			results.values[name] = operation{"error": caught(problem)}
		} else {
			results.values[name] = operation{"ok": results.values[name]}
		}
	}
	return results.values, err
}

func (i interpreter) step(ctx context.Context, op operation, s scope) (any, error) {
	name := op["name"].(string)
	label := name
	if key, has := op["key"]; has {
		label = name + "[" + fmt.Sprint(s.evaluate(key)) + "]"
	}
	options := stepOptions(op, s)
	body := func(ctx context.Context) (any, error) { return i.body(ctx, op, inStep(ctx, s), label) }
	if items, streams := op["yield"].([]any); streams {
		switch op["reduce"] {
		case "collect":
			all, err := pawl.Collect(ctx, name, yielding(i, items, s, label, milliseconds(op["pauseMs"]), func(item any) any { return item }), options...)
			return listOf(all), err
		case "last":
			return pawl.Last(ctx, name, yielding(i, items, s, label, milliseconds(op["pauseMs"]), func(item any) any { return item }), options...)
		}
		return pawl.Stream(ctx, name, yielding(i, items, s, label, milliseconds(op["pauseMs"]), func(item any) string { return item.(string) }), options...)
	}
	if args, has := op["args"]; has {
		return pawl.Apply(ctx, name, func(ctx context.Context, _ any) (any, error) { return body(ctx) }, s.evaluate(args), options...)
	}
	return pawl.Step(ctx, name, body, options...)
}

func inStep(ctx context.Context, s scope) scope {
	if attempt, ok := pawl.CurrentAttempt(ctx); ok {
		s.attempt, s.key = attempt.Number, attempt.IdempotencyKey
	}
	return s
}

func yielding[T any](i interpreter, items []any, s scope, label string, pause time.Duration, of func(any) T) func(ctx context.Context) iter.Seq2[T, error] {
	return func(ctx context.Context) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			err := i.effect(ctx, label)
			within := inStep(ctx, s)
			for _, item := range items {
				if !yield(of(within.evaluate(item)), err) {
					return
				}
				time.Sleep(pause)
			}
		}
	}
}

func (i interpreter) body(ctx context.Context, op operation, s scope, label string) (any, error) {
	if err := i.effect(ctx, label); err != nil {
		return nil, err
	}
	if crash, has := op["crash"].(string); has {
		if err := i.crash(ctx, crash); err != nil {
			return nil, err
		}
	}
	if _, has := op["takesMs"]; has {
		select {
		case <-time.After(milliseconds(op["takesMs"])):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	var result any
	if _, has := op["do"]; has {
		value, _, err := i.block(ctx, blockOf(op["do"]), s)
		if err != nil {
			return nil, err
		}
		result = value
	}
	if fail, has := op["fail"].(operation); has {
		if attempts, limited := fail["attempts"].(float64); !limited || s.attempt <= int(attempts) {
			return nil, makeError(fail)
		}
	}
	if op["unserializable"] == true {
		return func() {}, nil
	}
	if value, has := op["value"]; has {
		return s.evaluate(value), nil
	}
	return result, nil
}

func (i interpreter) effect(ctx context.Context, name string) error {
	file, err := os.OpenFile(filepath.Join(i.folder, "effects"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s\t%s\t%d\n", pawl.CurrentRun(ctx).RunID, name, time.Now().UnixMilli())
	return errors.Join(err, file.Close())
}

// crash ends this process, once.
func (i interpreter) crash(ctx context.Context, label string) error {
	mark := filepath.Join(i.folder, pawl.CurrentRun(ctx).RunID+"."+label)
	file, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(file.Close(), syscall.Kill(os.Getpid(), syscall.SIGKILL)); err != nil {
		return err
	}
	// The signal comes in its own time; nothing may happen until then.
	select {}
}
