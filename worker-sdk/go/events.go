package pawl

import (
	"context"
	"fmt"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// Emit sends live output, which is not recorded, to watchers of the run. It
// never waits for the server. Outside of a run it does nothing.
func Emit(ctx context.Context, eventType string, data any) error {
	if err := checkName("an event type", eventType); err != nil {
		return err
	}
	return publish(ctx, eventType, data)
}

// Progress is Emit of how much is done; a total of 0 is unknown.
func Progress(ctx context.Context, done, total int, note string) error {
	return publish(ctx, "progress", struct {
		Done  int    `json:"done"`
		Total int    `json:"total,omitempty"`
		Note  string `json:"note,omitempty"`
	}{done, total, note})
}

func publish(ctx context.Context, eventType string, data any) error {
	p, inRun := placeOf(ctx)
	if !inRun {
		return nil
	}
	payload, err := encode(data, fmt.Sprintf("an event %q", eventType))
	if err != nil {
		return err
	}
	event := &pb.NewEvent{Type: eventType, Payload: payload, SourceAt: timestamppb.Now()}
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

// noteDelta keeps the number of the latest event that the attempt has sent.
func (a *attempt) noteDelta(number uint32) {
	for {
		known := a.step.deltas.Load()
		if number <= known || a.step.deltas.CompareAndSwap(known, number) {
			return
		}
	}
}
