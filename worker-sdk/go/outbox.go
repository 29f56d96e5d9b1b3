// Section X of docs/replay-machine.md.

package pawl

import (
	"context"
	"runtime"
	"slices"
	"sync"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// outbox is frames on their way out over one stream, of a worker or of a client. What gathers while
// the last message is being sent leaves together, because a message costs far more than a frame.
type outbox[F proto.Message] struct {
	signal chan struct{}
	// Makes one message of several frames.
	wrap func(frames []F) proto.Message
	// Is told of a frame that cannot be encoded, and was left out.
	refuse func(frame F, err error)
	mu     sync.Mutex
	frames []F
	sizes  []int
	size   int
	// Called once the frames are on the stream, or that has ended.
	sent []func()
	// Send what is left, then half-close the stream.
	closing bool
	// Nothing is sent any more.
	ended bool
}

func newOutbox[F proto.Message](wrap func(frames []F) proto.Message, refuse func(frame F, err error)) *outbox[F] {
	return &outbox[F]{signal: make(chan struct{}, 1), wrap: wrap, refuse: refuse}
}

// workerOutbox is the outbox of a worker's stream.
func workerOutbox(refuse func(frame *pb.WorkerFrame, err error)) *outbox[*pb.WorkerFrame] {
	return newOutbox(func(frames []*pb.WorkerFrame) proto.Message {
		return &pb.WorkerServiceAttachRequest{Frames: frames}
	}, refuse)
}

// push adds a frame; size is about how large it is when encoded.
func (o *outbox[F]) push(frame F, size int) { o.pushThen(frame, size, nil) }

// pushThen calls sent, in a goroutine, once the frame is on the stream, or that has ended.
func (o *outbox[F]) pushThen(frame F, size int, sent func()) {
	o.mu.Lock()
	if sent != nil {
		o.sent = append(o.sent, sent)
	}
	o.frames = append(o.frames, frame)
	o.sizes = append(o.sizes, size)
	o.size += size
	if o.ended {
		o.tell()
	}
	o.mu.Unlock()
	o.nudge()
}

// tell says that the frames have left. The outbox is locked.
func (o *outbox[F]) tell() {
	for _, sent := range o.sent {
		go sent()
	}
	o.sent = nil
}

func (o *outbox[F]) nudge() {
	select {
	case o.signal <- struct{}{}:
	default:
	}
}

// close ends the stream once everything has been sent.
func (o *outbox[F]) close() {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	o.nudge()
}

// congested says whether frames pile up that have not left.
func (o *outbox[F]) congested() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size > deltaBufferBytesMax
}

// run sends until the stream ends.
func (o *outbox[F]) run(ctx context.Context, stream grpc.ClientStream) {
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.ended = true
		o.tell()
	}()
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
		frames, sizes, sent, closing := o.frames, o.sizes, o.sent, o.closing
		o.frames, o.sizes, o.size, o.sent = nil, nil, 0, nil
		o.mu.Unlock()
		arrived := o.sendAll(stream, frames, sizes)
		for _, tell := range sent {
			go tell()
		}
		if !arrived {
			// The receiving side is told why the stream has ended.
			return
		}
		if closing {
			_ = stream.CloseSend()
			return
		}
	}
}

func (o *outbox[F]) sendAll(stream grpc.ClientStream, frames []F, sizes []int) bool {
	for len(frames) > 0 {
		count, size := 1, sizes[0]
		for count < len(frames) && count < framesPerMessageMax && size+sizes[count] <= sessionMessageBytesMax {
			size += sizes[count]
			count++
		}
		if !o.send(stream, frames[:count]) {
			return false
		}
		frames, sizes = frames[count:], sizes[count:]
	}
	return true
}

// send sends frames as one message. It is encoded before: to send what cannot be encoded would end
// the stream, for everybody's frames.
func (o *outbox[F]) send(stream grpc.ClientStream, frames []F) bool {
	var message grpc.PreparedMsg
	if message.Encode(stream, o.wrap(frames)) != nil {
		frames = slices.DeleteFunc(slices.Clone(frames), func(frame F) bool {
			_, err := proto.Marshal(frame)
			if err != nil {
				o.refuse(frame, err)
			}
			return err != nil
		})
		return stream.SendMsg(o.wrap(frames)) == nil
	}
	return stream.SendMsg(&message) == nil
}
