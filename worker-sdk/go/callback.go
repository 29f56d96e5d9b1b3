package pawl

import (
	"context"
	"fmt"
	"sync"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// A wait for a call from outside. Unlike other waits it has something to say before
// it is over: the URL to call. That is asked for in every replay, being a secret that
// is on no record; the server makes the same one again. Until the code asks for its
// result, the run does not wait for it.

type callbackSettings struct {
	waitSettings
	key string
}

// CallbackOption is a Key, Timeout or Default.
type CallbackOption interface{ applyCallback(*callbackSettings) }

func (k Key) applyCallback(s *callbackSettings)           { s.key = string(k) }
func (t Timeout) applyCallback(s *callbackSettings)       { s.timeout, s.hasTimeout = time.Duration(t), true }
func (d DefaultOption) applyCallback(s *callbackSettings) { d.applyWait(&s.waitSettings) }

// Callback is a URL that an external process calls when it is done.
type Callback[T any] struct {
	// Takes one POST; the same after a crash. Anyone who has it can answer: it needs no key.
	URL string
	// The URL's last part.
	Token string
	// Names the wait, to resolve it by hand.
	WaitID string

	run      *run
	outer    *scope
	own      *scope
	key      string
	call     *waitCall
	settings waitSettings
	fallback T

	mu    sync.Mutex
	over  bool
	value T
	err   error
}

// OpenCallback creates a URL for an external process: pass it on in a step, then call
// Result, which returns the body that the process posts. The URL is the same in every
// replay. It works like a key, so keep it out of step results. A Timeout counts from now.
func OpenCallback[T any](ctx context.Context, name string, options ...CallbackOption) (*Callback[T], error) {
	var settings callbackSettings
	for _, option := range options {
		option.applyCallback(&settings)
	}
	fallback, fits := fallbackOf[T](&settings.waitSettings)
	if !fits {
		return nil, usage("the Default of callback %q is a %T, not a %T", name, settings.fallback, fallback)
	}
	p, inRun := enter(ctx)
	if !inRun {
		return nil, usage("OpenCallback(%q) needs a run: it was called with a context that is in none", name)
	}
	if err := checkName("a callback", name); err != nil {
		return nil, err
	}
	call := &waitCall{name: name, kind: pb.StepKind_STEP_KIND_CALLBACK, spec: &pb.WaitSpec{}}
	settings.limit(call.spec)
	r := p.run
	key, err := r.claim(p.scope, spaceCallback, name, settings.key)
	if err != nil {
		return nil, err
	}
	c := &Callback[T]{
		run: r, outer: p.scope, key: key, call: call, settings: settings.waitSettings, fallback: fallback,
		// In flight in a scope of its own, so that it makes no later use of a name ambiguous.
		own: &scope{parent: p.scope, prefix: key + "/", insideStep: p.scope.insideStep},
	}
	p.scope.occupy(key, 1)
	address, err := r.callbackAddress(ctx, c.own, key, call)
	r.mu.Lock()
	p.scope.occupy(key, -1)
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c.URL, c.Token, c.WaitID = address.GetCallbackUrl(), address.GetCallbackToken(), address.GetWaitId()
	return c, nil
}

// registration is what the server says of a callback that it knows.
type registration interface {
	GetCallbackUrl() string
	GetCallbackToken() string
	GetWaitId() string
}

// callbackAddress registers a callback, or asks for its URL alone where its result is
// on record: that is handed out later. Locked before, unlocked after.
func (r *run) callbackAddress(ctx context.Context, s *scope, key string, call *waitCall) (registration, error) {
	op := r.begin(s, key, call.name, call.kind)
	if rec := r.memo.take(key); rec != nil {
		if clash := op.conflict(rec, "", ""); clash != nil {
			r.mu.Unlock()
			r.exit(clash)
		}
		op.recorded = true
		r.queue.add(op, r.memo.callbacks[key], true)
		r.queue.block(s)
		op.awaitDelivery()
	} else {
		r.callbacks[key] = s
		r.queue.park(op)
		r.queue.block(s)
	}
	for {
		if !op.recorded && (op.aborted != nil || !op.admit(ctx)) {
			return nil, op.giveUp()
		}
		address, err := op.askForAddress(call)
		if err != nil {
			return nil, op.refused(err)
		}
		if address == nil {
			continue
		}
		if !op.recorded {
			op.awaitDelivery()
		}
		op.close()
		r.mu.Unlock()
		return address, nil
	}
}

// askForAddress asks the server; nil where it has said that nothing is to begin now. Locked before
// and after, unless it fails.
func (op *operation) askForAddress(call *waitCall) (registration, error) {
	r := op.run
	var address registration
	r.setBusy(true)
	requestID := r.nextRequestID()
	r.mu.Unlock()
	message, err := r.ask(func() proto.Message {
		return &pb.StepStartedRequest{
			RunId: r.id, Fence: r.fence, StepKey: op.key, Name: op.name, Kind: op.kind, RequestId: requestID,
			Wait: proto.Clone(call.spec).(*pb.WaitSpec),
		}
	}, func(message proto.Message) {
		response := message.(*pb.StepStartedResponse)
		r.mu.Lock()
		defer r.mu.Unlock()
		if wait := response.GetWait(); wait != nil {
			address, op.isRegistered = wait, true
		} else if replay := response.GetReplay(); replay != nil {
			address = replay
		}
		if address != nil && !op.recorded {
			r.queue.push(op, r.queue.lastSeq)
		}
		r.setBusy(false)
	})
	if err != nil {
		return nil, err
	}
	response := message.(*pb.StepStartedResponse)
	if clash := response.GetConflict(); clash != nil {
		r.exit(&NonDeterminismError{
			StepKey: op.key, Recorded: clash.Recorded.GetName(), Attempted: op.name, LikelyCause: codeChanged,
		})
	}
	if stop := response.GetStop(); stop != nil {
		op.obeyStop(stop.Reason, stop.Fence)
	}
	r.obeyLater(response.Directive)
	r.lockPresent()
	return address, nil
}

// Result returns what was posted: decoded JSON, or bytes for a T of []byte. It waits
// without holding a worker, and may be asked for again.
func (c *Callback[T]) Result(ctx context.Context) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return c.value, c.err
	}
	var none T
	if err := c.call.limitBy(ctx); err != nil {
		return none, err
	}
	r := c.run
	r.lockPresent()
	c.outer.occupy(c.key, 1)
	end, err := r.awaitAt(ctx, c.own, c.key, c.call)
	r.mu.Lock()
	c.outer.occupy(c.key, -1)
	if err == nil {
		delete(r.callbacks, c.key)
	}
	r.mu.Unlock()
	if err != nil {
		// The caller has ended, perhaps, but the callback has not.
		return none, err
	}
	c.over = true
	switch {
	case end.outcome == "timed_out" && c.settings.hasDefault:
		c.value = c.fallback
	case end.outcome == "timed_out":
		c.err = &WaitTimeoutError{What: fmt.Sprintf("the callback %q", c.call.name), StepKey: c.key}
	default:
		c.value, c.err = decode[T](end.payload, fmt.Sprintf("what was sent to the callback %q", c.call.name))
	}
	return c.value, c.err
}
