package pawl

import (
	"context"
	"fmt"
	"strings"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// publish sends live output of the run that the context is in; outside of a run it does nothing.
func publish(ctx context.Context, eventType string, data any, options EmitOptions) error {
	p, inRun := placeOf(ctx)
	if !inRun {
		return nil
	}
	policy, isKnown := deltaPolicies[options.Keep]
	if !isKnown {
		return usage("the Keep of an event %q is %q; it is Ephemeral, Buffered or Durable", eventType, options.Keep)
	}
	if err := checkTexts(map[string]string{"the id of an event": options.ID, "the parent of an event": options.Parent}, nil); err != nil {
		return err
	}
	payload, err := encode(data, fmt.Sprintf("an event %q", eventType))
	if err != nil {
		return err
	}
	event := &pb.NewEvent{
		Type: eventType, Payload: payload, SourceAt: timestamppb.Now(), EventId: options.ID,
		ParentEventId: orElse(options.Parent, p.parentOfEvents()), ContentIndex: options.ContentIndex, Policy: policy,
	}
	r, body := p.run, p.body
	r.mu.Lock()
	// Counted from the beginning of the code, so that the server knows what it says a second time.
	if body == nil {
		r.said++
		event.Sequence = r.said
	}
	// At the level of the workflow a replay would send it again; what comes after the last record is new.
	if r.over() || body == nil && r.queue.isReplaying() && r.queue.lastSeq < r.memo.lastRecordSeq {
		r.mu.Unlock()
		return nil
	}
	if body != nil {
		body.sequence++
		event.StepKey, event.Attempt, event.Sequence = body.step.key, body.number, body.sequence
	}
	fence := r.fence
	r.mu.Unlock()
	const envelope = 100
	number := r.link.publish(r, fence, event, len(payload.Data)+envelope)
	if body != nil {
		body.noteDelta(number)
	}
	return nil
}

// parentOfEvents is what events belong to here: the span around, or the branch or scope within the workflow or step;
// empty for the run or the step itself.
func (p *place) parentOfEvents() string {
	prefix := p.scope.prefix
	switch {
	case p.span != "":
		return p.span
	case prefix == "" || p.body != nil && prefix == p.body.step.key+"/":
		return ""
	}
	return p.run.id + "/" + strings.TrimSuffix(prefix, "/")
}

// noteDelta keeps the number of the latest event that the attempt has sent.
func (a *attempt) noteDelta(number uint32) {
	for {
		known := a.step.deltas.Load()
		if number <= known || a.step.deltas.CompareAndSwap(known, number) {
			return
		}
	}
}
