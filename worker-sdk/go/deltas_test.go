package pawl

import (
	"slices"
	"testing"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// What a run reports next waits for what it has said, and for nothing that is said later.
func TestAStepThatGoesOnStreamingHoldsNobodyUp(t *testing.T) {
	var firsts []uint32
	answers := make(chan func(), 2)
	d := &deltas{send: func(_ *run, batch *pb.PublishEventsRequest, _ int, _ bool, done func()) bool {
		firsts = append(firsts, batch.First)
		answers <- done
		return true
	}}
	// Nothing leaves by itself: the first batch is sent by the one who waits.
	d.timer = time.NewTimer(time.Hour)
	defer d.timer.Stop()
	r := &run{id: "run", gone: make(chan struct{})}
	say := func() { d.add(r, 1, &pb.NewEvent{Type: "note"}, 10) }
	say()
	waited := make(chan struct{})
	go func() {
		d.wait(r)
		close(waited)
	}()
	answer := <-answers
	say()
	d.flush(nil)
	<-answers
	select {
	case <-waited:
		t.Fatal("it did not wait for what was said")
	case <-time.After(50 * time.Millisecond):
	}
	answer()
	select {
	case <-waited:
	case <-time.After(time.Minute):
		t.Fatal("it waits for what was said later")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(firsts, []uint32{1, 2}) {
		t.Fatalf("sent from %v", firsts)
	}
}
