package pawl

import (
	"context"
	"fmt"
	"sync"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// Emit sends live output, which is not recorded, to whoever watches the run. It
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
	event := &pb.NewEvent{Type: eventType, Payload: payload, SourceTimestamp: timestamppb.Now()}
	r, body := p.run, p.body
	r.mu.Lock()
	// At the level of the workflow a replay would send it again.
	if r.over() || body == nil && r.queue.isReplaying() {
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
	r.link.publish(r, fence, event, len(payload.Data)+envelope)
	return nil
}

// deltas is live output on its way out: gathered for a moment, bounded, dropped
// when it does not fit.
type deltas struct {
	// send answers false while nothing can be sent.
	send    func(batch *pb.PublishEventsRequest, size int) bool
	onDrop  func(count int)
	mu      sync.Mutex
	batches map[string]*deltaBatch
	size    int
	dropped int
	timer   *time.Timer
}

type deltaBatch struct {
	request *pb.PublishEventsRequest
	size    int
}

func (d *deltas) add(runID string, fence uint32, event *pb.NewEvent, size int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.size+size > deltaBufferBytesMax {
		d.dropped++
		return
	}
	batch := d.batches[runID]
	if batch != nil && batch.request.Fence != fence {
		d.size -= batch.size
		batch = nil
	}
	if batch == nil {
		batch = &deltaBatch{request: &pb.PublishEventsRequest{RunId: runID, Fence: fence}}
		if d.batches == nil {
			d.batches = map[string]*deltaBatch{}
		}
		d.batches[runID] = batch
	}
	batch.request.Events = append(batch.request.Events, event)
	batch.size += size
	d.size += size
	if d.size >= deltaFlushBytes {
		d.flushLocked("")
	}
	if d.timer == nil {
		d.timer = time.AfterFunc(deltaFlush, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.timer = nil
			d.flushLocked("")
		})
	}
}

// flush sends what has gathered, of one run or of all.
func (d *deltas) flush(runID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushLocked(runID)
}

func (d *deltas) flushLocked(runID string) {
	for id, batch := range d.batches {
		if runID != "" && id != runID {
			continue
		}
		if !d.send(batch.request, batch.size) {
			return
		}
		delete(d.batches, id)
		d.size -= batch.size
	}
	if d.dropped > 0 {
		d.onDrop(d.dropped)
		d.dropped = 0
	}
}
