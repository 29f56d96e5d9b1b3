package pawl

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"

	pb "pawl.dev/pawl/pawlv1"
)

// Structured concurrency: each branch has a scope of its own, named by
// the branch, so that no key depends on which is faster. When a branch of All or
// Map fails, the others are ended (their contexts are cancelled, and no step starts
// in them any more) and the error is returned once they have ended, so that no
// clean-up runs beside a step that it is to undo. Race does not wait for those
// who lost.

// All runs branches concurrently, each in its own goroutine and scope, and returns the
// first error after the other branches have been cancelled and have ended. A branch is
// named by its position; return results through variables.
func All(ctx context.Context, branches ...func(ctx context.Context) error) error {
	return all(ctx, indices(len(branches)), branches)
}

func indices(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// AllSettled is All that does not end the others when one fails. It returns one error per branch, or nil.
func AllSettled(ctx context.Context, branches ...func(ctx context.Context) error) ([]error, error) {
	results := make([]error, len(branches))
	settled := make([]func(ctx context.Context) error, len(branches))
	for i, branch := range branches {
		settled[i] = func(ctx context.Context) error {
			results[i] = outcomeOf(ctx, branch)
			return cancellation(results[i])
		}
	}
	return results, All(ctx, settled...)
}

// AllSettledNamed is AllSettled with names for the branches, which are then part of the step keys.
func AllSettledNamed(ctx context.Context, branches map[string]func(ctx context.Context) error) (map[string]error, error) {
	results := make(map[string]error, len(branches))
	settled := make(map[string]func(ctx context.Context) error, len(branches))
	var mu sync.Mutex
	for name, branch := range branches {
		settled[name] = func(ctx context.Context) error {
			err := outcomeOf(ctx, branch)
			mu.Lock()
			defer mu.Unlock()
			results[name] = err
			return cancellation(err)
		}
	}
	return results, AllNamed(ctx, settled)
}

// outcomeOf is the outcome of a branch, whose panic is one as well.
func outcomeOf(ctx context.Context, branch func(ctx context.Context) error) (err error) {
	defer recoverInto(&err)
	return branch(ctx)
}

// cancellation is the part of an outcome that is for the run to deal with, not one branch's.
func cancellation(err error) error {
	if _, is := find[*Cancelled](err); is {
		return err
	}
	return nil
}

// Race returns the result or error of the first branch to end, and ends the others; their waits are closed.
func Race[T any](ctx context.Context, branches ...func(ctx context.Context) (T, error)) (T, error) {
	return race(ctx, indices(len(branches)), branches)
}

func race[T any](ctx context.Context, names []string, branches []func(ctx context.Context) (T, error)) (T, error) {
	var none T
	if len(branches) == 0 {
		return none, usage("Race needs at least one branch")
	}
	results := make([]T, len(branches))
	wrapped := make([]func(ctx context.Context) error, len(branches))
	for i, branch := range branches {
		wrapped[i] = func(ctx context.Context) (err error) {
			results[i], err = branch(ctx)
			return err
		}
	}
	p, err := claimBranches(ctx, names)
	if err != nil {
		return none, err
	}
	g := newGroup(ctx, p, len(branches))
	g.race = true
	for _, s := range p.scopes {
		if s != nil {
			s.race = g
		}
	}
	first := g.run(wrapped)
	return results[first.index], first.err
}

// AllNamed is All with names for the branches, which are then part of the step keys.
func AllNamed(ctx context.Context, branches map[string]func(ctx context.Context) error) error {
	names := slices.Sorted(maps.Keys(branches))
	list := make([]func(ctx context.Context) error, len(names))
	for i, name := range names {
		list[i] = branches[name]
	}
	return all(ctx, names, list)
}

// RaceNamed is Race with names for the branches, which are then part of the step keys.
func RaceNamed[T any](ctx context.Context, branches map[string]func(ctx context.Context) (T, error)) (T, error) {
	names := slices.Sorted(maps.Keys(branches))
	list := make([]func(ctx context.Context) (T, error), len(names))
	for i, name := range names {
		list[i] = branches[name]
	}
	return race(ctx, names, list)
}

// MapOption is an ItemKey or a Concurrency.
type MapOption[T any] func(*mapSettings[T])

type mapSettings[T any] struct {
	key         func(T) string
	concurrency int
}

// ItemKey names each item's scope by a key instead of its index. Set it if the list can change between two
// executions of the run: with an index, the recorded results of one item would be used for another.
func ItemKey[T any](key func(item T) string) MapOption[T] {
	return func(s *mapSettings[T]) { s.key = key }
}

// Concurrency is the maximum number of items that are processed at the same time. Default: all. It applies to
// this call only.
func Concurrency[T any](limit int) MapOption[T] {
	return func(s *mapSettings[T]) { s.concurrency = limit }
}

// Map calls fn for each item, concurrently, each in its own scope, and returns the results in the order of the
// items. If one fails, the others are ended.
func Map[T, R any](ctx context.Context, name string, items []T, fn func(ctx context.Context, item T) (R, error), options ...MapOption[T]) ([]R, error) {
	settings := mapSettings[T]{concurrency: len(items)}
	for _, option := range options {
		option(&settings)
	}
	if err := checkName("Map", name); err != nil {
		return nil, err
	}
	if settings.concurrency < 1 && len(items) > 0 {
		return nil, usage("the concurrency of Map(%q) is at least 1; it is %d", name, settings.concurrency)
	}
	segments, err := itemSegments(name, items, settings.key)
	if err != nil {
		return nil, err
	}
	p, err := claimMap(ctx, name, segments)
	if err != nil {
		return nil, err
	}
	results := make([]R, len(items))
	branch := func(i int) func(ctx context.Context) error {
		return func(ctx context.Context) (err error) {
			results[i], err = fn(ctx, items[i])
			return err
		}
	}
	first := make([]func(ctx context.Context) error, min(settings.concurrency, len(items)))
	for i := range first {
		first[i] = branch(i)
	}
	g := newGroup(ctx, p, len(items))
	next := len(first)
	g.onEnd = func() {
		if next < len(items) {
			g.start(next, branch(next))
			next++
		}
	}
	if err := g.run(first).err; err != nil {
		return nil, err
	}
	return results, nil
}

// MapSettled is Map that does not end the other items when one fails. It returns one result and one error, or nil,
// for each item.
func MapSettled[T, R any](ctx context.Context, name string, items []T, fn func(ctx context.Context, item T) (R, error), options ...MapOption[T]) ([]R, []error, error) {
	type settled struct {
		result R
		err    error
	}
	ends, err := Map(ctx, name, items, func(ctx context.Context, item T) (settled, error) {
		var end settled
		end.err = outcomeOf(ctx, func(ctx context.Context) (err error) {
			end.result, err = fn(ctx, item)
			return err
		})
		return end, cancellation(end.err)
	}, options...)
	results, errs := make([]R, len(items)), make([]error, len(items))
	for i, end := range ends {
		results[i], errs[i] = end.result, end.err
	}
	return results, errs, err
}

func itemSegments[T any](name string, items []T, key func(T) string) ([]string, error) {
	segments := make([]string, len(items))
	seen := make(map[string]bool, len(items))
	for i, item := range items {
		text := strconv.Itoa(i)
		if key != nil {
			text = key(item)
		}
		if text == "" || seen[text] {
			return nil, usage("the key %q of item %d of Map(%q) is empty or another item's; keys distinguish items", text, i, name)
		}
		if err := checkText(fmt.Sprintf("the key of item %d of Map(%q)", i, name), text); err != nil {
			return nil, err
		}
		seen[text] = true
		segments[i] = escapeName(text)
	}
	return segments, nil
}

// Scope gives the steps in fn their own namespace.
func Scope[T any](ctx context.Context, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	var none T
	p, inRun := enter(ctx)
	if !inRun {
		return fn(ctx)
	}
	if err := checkName("a scope", name); err != nil {
		return none, err
	}
	op, err := p.run.open(p.scope, spaceScope, name, "", pb.StepKind_STEP_KIND_UNSPECIFIED)
	if err != nil {
		return none, err
	}
	p.run.mu.Unlock()
	inner := p.scope.child(op.key[len(p.scope.prefix):])
	result, err := fn(withPlace(ctx, &place{run: p.run, scope: inner, body: p.body, span: p.span}))
	p.run.lockPresent()
	op.close()
	p.run.mu.Unlock()
	return result, err
}

func all(ctx context.Context, names []string, branches []func(ctx context.Context) error) error {
	p, err := claimBranches(ctx, names)
	if err != nil {
		return err
	}
	return newGroup(ctx, p, len(branches)).run(branches).err
}

func claimBranches(ctx context.Context, names []string) (*branching, error) {
	p, inRun := enter(ctx)
	b := &branching{scopes: make([]*scope, len(names))}
	if !inRun {
		return b, nil
	}
	b.place = p
	for i, name := range names {
		if err := checkName("a branch", name); err != nil {
			return nil, err
		}
		segment, err := p.run.claimSegment(p.scope, spaceAll, name)
		if err != nil {
			return nil, err
		}
		b.scopes[i] = p.scope.child(segment)
		b.keys = append(b.keys, p.scope.prefix+segment)
	}
	return b, nil
}

func claimMap(ctx context.Context, name string, segments []string) (*branching, error) {
	p, inRun := enter(ctx)
	b := &branching{scopes: make([]*scope, len(segments))}
	if !inRun {
		return b, nil
	}
	b.place = p
	segment, err := p.run.claimSegment(p.scope, spaceMap, name)
	if err != nil {
		return nil, err
	}
	b.keys = []string{p.scope.prefix + segment}
	around := p.scope.child(segment)
	for i, item := range segments {
		b.scopes[i] = around.child(item)
	}
	return b, nil
}

// claimSegment counts a use of a name for a scope that is to be pushed.
func (r *run) claimSegment(s *scope, space, name string) (string, error) {
	r.lockPresent()
	segment, err := s.claim(space, name, "")
	r.mu.Unlock()
	if _, ambiguous := err.(*AmbiguousStepKeyError); ambiguous {
		r.end(err)
		runtime.Goexit()
	}
	return segment, err
}
