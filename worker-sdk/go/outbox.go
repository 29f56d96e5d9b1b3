package pawl

import (
	"context"
	"runtime"
	"sync"

	pb "pawl.dev/pawl/pawlv1"
)

// outbox is frames on their way out over one stream. What gathers while the last
// message is being sent leaves together, since a message costs far more than a frame.
type outbox struct {
	signal chan struct{}
	mu     sync.Mutex
	frames []*pb.WorkerFrame
	sizes  []int
	size   int
	// Send what is left, then half-close the stream.
	closing bool
}

func newOutbox() *outbox { return &outbox{signal: make(chan struct{}, 1)} }

// push adds a frame; size is about how large it is when encoded.
func (o *outbox) push(frame *pb.WorkerFrame, size int) {
	o.mu.Lock()
	o.frames = append(o.frames, frame)
	o.sizes = append(o.sizes, size)
	o.size += size
	o.mu.Unlock()
	o.nudge()
}

func (o *outbox) nudge() {
	select {
	case o.signal <- struct{}{}:
	default:
	}
}

// close ends the stream once everything has been sent.
func (o *outbox) close() {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	o.nudge()
}

// congested: what was sent is piling up.
func (o *outbox) congested() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size > deltaBufferBytesMax
}

// run sends until the stream ends.
func (o *outbox) run(ctx context.Context, stream pb.WorkerService_SessionClient) {
	for {
		select {
		case <-o.signal:
		case <-ctx.Done():
			return
		}
		// Lets goroutines that have just been woken add to the message.
		for range 4 {
			runtime.Gosched()
		}
		o.mu.Lock()
		frames, sizes, closing := o.frames, o.sizes, o.closing
		o.frames, o.sizes, o.size = nil, nil, 0
		o.mu.Unlock()
		if !sendAll(stream, frames, sizes) {
			// The receiving side is told why the stream has ended.
			return
		}
		if closing {
			_ = stream.CloseSend()
			return
		}
	}
}

func sendAll(stream pb.WorkerService_SessionClient, frames []*pb.WorkerFrame, sizes []int) bool {
	for len(frames) > 0 {
		count, size := 1, sizes[0]
		for count < len(frames) && count < framesPerMessageMax && size+sizes[count] <= sessionMessageBytesMax {
			size += sizes[count]
			count++
		}
		if stream.Send(&pb.SessionRequest{Frames: frames[:count]}) != nil {
			return false
		}
		frames, sizes = frames[count:], sizes[count:]
	}
	return true
}
