package pawl

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// group is branches that run concurrently. The goroutine that waits for them
// counts as being in a call of this package until they are over, and continues in
// the very moment in which the last of them ends, see deliveries.go.
type group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	p      *branching
	// How many branches have to end well for the group to be over.
	left int
	// The first to end is the outcome.
	race bool
	// Starts another branch; called when one has ended well, with the group locked.
	onEnd func()

	// The run's mutex, or one of its own outside of a run.
	mu      *sync.Mutex
	running int
	settled bool
	result  branchEnd
	over    chan struct{}
}

type branchEnd struct {
	index int
	err   error
}

func newGroup(ctx context.Context, p *branching, left int) *group {
	g := &group{p: p, left: left, over: make(chan struct{}), mu: &sync.Mutex{}}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	if p.place != nil {
		g.mu = &p.run.mu
		p.run.lockPresent()
		p.occupy(1)
		p.run.mu.Unlock()
	}
	return g
}

// start runs a branch in a goroutine. The group is locked.
func (g *group) start(index int, fn func(ctx context.Context) error) {
	g.running++
	ctx := g.ctx
	if g.p.place != nil {
		s := g.p.scopes[index]
		ctx = withPlace(ctx, &place{run: g.p.run, scope: s, body: g.p.body, span: g.p.span})
		g.p.run.queue.unblock(s)
	}
	go func() {
		ended := false
		var err error
		defer func() {
			if ended {
				g.finish(index, err)
			} else if value := recover(); value != nil {
				g.finish(index, newPanicError(value))
			} else if g.p.place == nil {
				g.finish(index, errGoexit)
			} else if !g.p.run.isGone() {
				g.p.run.end(errGoexit)
			}
		}()
		err = fn(ctx)
		ended = true
	}()
}

func (g *group) finish(index int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	if !g.settled {
		g.left--
		if err != nil || g.race || g.left == 0 {
			g.settle(branchEnd{index, err})
		} else if g.onEnd != nil {
			g.onEnd()
		}
		if g.settled && (g.race || g.running == 0) {
			g.close()
		}
	} else if !g.race && g.running == 0 {
		g.close()
	}
	if g.p.place != nil {
		g.p.run.queue.block(g.p.scopes[index])
	}
}

// settle decides the outcome, and ends the other branches.
func (g *group) settle(result branchEnd) {
	g.settled, g.result = true, result
	why := &Cancelled{Reason: "another branch has won the race"}
	if result.err != nil {
		why = &Cancelled{Reason: fmt.Sprintf("another branch failed: %v", result.err)}
	}
	g.cancel(why)
	if g.p.place == nil {
		return
	}
	for _, s := range g.p.scopes {
		g.p.run.endScope(s, why)
	}
	if result.err == nil && !g.race {
		return
	}
	// A worker that had the run before may have got further in a branch than this one ever will.
	for _, key := range g.p.run.memo.giveUpUnasked(g.p.scopes) {
		g.p.run.closeWait(key)
	}
}

// close lets the goroutine that waits continue: from now on it counts.
func (g *group) close() {
	if g.p.place != nil {
		g.p.run.queue.unblock(g.p.scope)
	}
	close(g.over)
}

// run starts branches, the first of all that there are, and waits until the group is over.
func (g *group) run(branches []func(ctx context.Context) error) branchEnd {
	g.mu.Lock()
	for i, branch := range branches {
		g.start(i, branch)
	}
	if len(branches) == 0 {
		g.settle(branchEnd{})
		g.close()
	}
	g.mu.Unlock()
	return g.wait()
}

// wait blocks until the group is over.
func (g *group) wait() branchEnd {
	if g.p.place == nil {
		<-g.over
		return g.result
	}
	r := g.p.run
	r.lockPresent()
	r.queue.block(g.p.scope)
	r.mu.Unlock()
	select {
	case <-g.over:
	case <-r.gone:
		runtime.Goexit()
	}
	r.lockPresent()
	defer r.mu.Unlock()
	g.p.occupy(-1)
	return g.result
}

// branching is the scopes of branches, in the place that they branch off; none outside of a run.
type branching struct {
	*place
	scopes []*scope
	// The keys that are in use until the group is left.
	keys []string
}

func (b *branching) occupy(by int) {
	for _, key := range b.keys {
		b.scope.occupy(key, by)
	}
}
