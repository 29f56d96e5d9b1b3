// Section D of docs/replay-machine.md.

package pawl

import (
	"slices"
	"sync"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// deltas is live output on its way out: gathered for a moment, bounded, dropped when
// it does not fit.
//
// Every event of a run gets a number, also one that is dropped: so that watchers are
// told of what is missing, and sending again after a reconnection shows nothing twice.
// What was sent counts against the bound until the server has it on record.
type deltas struct {
	// send answers false while nothing can be sent. `must`: what follows is about these
	// events, so that they take their place before it now. `done` is called when they
	// are on record, or were given up; not within send.
	send   func(r *run, batch *pb.PublishEventsRequest, size int, must bool, done func()) bool
	onDrop func(count int)

	mu      sync.Mutex
	streams map[*run]*deltaStream
	size    int
	// Of the size, what is not sent yet.
	waiting int
	dropped int
	flushed time.Time
	timer   *time.Timer
}

// deltaStream is what a run has sent under its fence.
type deltaStream struct {
	fence uint32
	next  uint32
	// To be sent, in order.
	waiting []*deltaBatch
	// Of what was sent and is not on record: bytes, and the number of each batch's first event.
	sentSize int
	sent     []uint32
	// Closed when the next batch is on record.
	change chan struct{}
	// The run has left.
	isForgotten bool
}

type deltaBatch struct {
	request *pb.PublishEventsRequest
	size    int
}

// inherit has a run continue with the stream of an execution before it.
func (d *deltas) inherit(before, r *run) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.streams[before]; s != nil {
		d.streams[r] = s
		delete(d.streams, before)
	}
}

// add returns the event's number.
func (d *deltas) add(r *run, fence uint32, event *pb.NewEvent, size int) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stream(r, fence)
	if s == nil {
		return 0
	}
	number := s.next
	s.next++
	if d.size+size > deltaBufferBytesMax {
		d.dropped++
		d.schedule()
		return number
	}
	var batch *deltaBatch
	if len(s.waiting) > 0 {
		batch = s.waiting[len(s.waiting)-1]
	}
	if batch == nil || batch.request.First+uint32(len(batch.request.Events)) != number ||
		len(batch.request.Events) >= deltaBatchEventsMax || batch.size+size > deltaBatchBytesMax {
		batch = &deltaBatch{request: &pb.PublishEventsRequest{RunId: r.id, Fence: fence, First: number}}
		s.waiting = append(s.waiting, batch)
	}
	batch.request.Events = append(batch.request.Events, event)
	batch.size += size
	d.size += size
	d.waiting += size
	if d.waiting >= deltaFlushBytes {
		d.flushLocked(nil)
	}
	d.schedule()
	return number
}

// stream is the run's under that fence; nil where a newer one is in use. What was to
// be sent under an older fence is void.
func (d *deltas) stream(r *run, fence uint32) *deltaStream {
	s := d.streams[r]
	switch {
	case s == nil:
		s = &deltaStream{fence: fence, next: 1, change: make(chan struct{})}
		if d.streams == nil {
			d.streams = map[*run]*deltaStream{}
		}
		d.streams[r] = s
	case fence < s.fence:
		return nil
	case fence > s.fence:
		d.dropWaiting(s)
		s.fence, s.next = fence, 1
	}
	return s
}

func (d *deltas) dropWaiting(s *deltaStream) {
	for _, batch := range s.waiting {
		d.size -= batch.size
		d.waiting -= batch.size
	}
	s.waiting = nil
}

// schedule flushes at once after a quiet while, and otherwise not more often than that.
func (d *deltas) schedule() {
	if d.timer != nil {
		return
	}
	d.timer = time.AfterFunc(max(0, deltaFlush-time.Since(d.flushed)), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.timer = nil
		d.flushLocked(nil)
		if d.waiting > 0 {
			d.schedule()
		}
	})
}

// flush sends what has gathered of one run, which has to leave before what the run
// reports next, or of all.
func (d *deltas) flush(only *run) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushLocked(only)
}

func (d *deltas) flushLocked(only *run) {
	if only == nil {
		d.flushed = time.Now()
		for r, s := range d.streams {
			d.sendAll(r, s, false)
		}
	} else if s := d.streams[only]; s != nil && len(s.waiting) > 0 {
		d.flushed = time.Now()
		d.sendAll(only, s, true)
	}
	if d.dropped > 0 {
		d.onDrop(d.dropped)
		d.dropped = 0
	}
}

// sendAll sends as far as something can be sent now.
func (d *deltas) sendAll(r *run, s *deltaStream, must bool) {
	for len(s.waiting) > 0 {
		batch := s.waiting[0]
		if !d.send(r, batch.request, batch.size, must, func() { d.settled(s, batch) }) {
			return
		}
		s.waiting = s.waiting[1:]
		d.waiting -= batch.size
		s.sentSize += batch.size
		s.sent = append(s.sent, batch.request.First)
	}
}

// settled notes that a batch is on record, or was given up.
func (d *deltas) settled(s *deltaStream, batch *deltaBatch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at := slices.Index(s.sent, batch.request.First); at >= 0 {
		s.sent = slices.Delete(s.sent, at, at+1)
	}
	if !s.isForgotten {
		s.sentSize -= batch.size
		d.size -= batch.size
	}
	close(s.change)
	s.change = make(chan struct{})
}

// wait sends what a run has said, and returns once that is on record, or was given
// up. What it says from now on does not count: a step that streams concurrently would
// never let the caller go.
func (d *deltas) wait(r *run) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.streams[r]
	if s == nil {
		return
	}
	fence, next := s.fence, s.next
	for {
		d.flushLocked(r)
		if d.streams[r] != s || s.fence != fence || !s.isSending(next) {
			return
		}
		change := s.change
		d.mu.Unlock()
		select {
		case <-change:
		case <-r.gone:
		}
		d.mu.Lock()
		if r.isGone() {
			return
		}
	}
}

// isSending says whether events before that number were sent and are not on record.
func (s *deltaStream) isSending(next uint32) bool {
	return slices.ContainsFunc(s.sent, func(first uint32) bool { return first < next })
}

// forget drops the stream of a run that has left this worker.
func (d *deltas) forget(r *run) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.streams[r]; s != nil {
		d.dropWaiting(s)
		d.size -= s.sentSize
		s.isForgotten = true
		delete(d.streams, r)
	}
}
