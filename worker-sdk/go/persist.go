package pawl

import (
	"errors"
	"runtime"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// isForCaller says whether the code that sent the request deals with the refusal itself. The same again would be
// refused again.
func isForCaller(refusal *RequestError) bool {
	switch refusal.Code {
	case codes.Unimplemented, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.OutOfRange:
		return true
	}
	return refusal.Reason == "PAYLOAD_TOO_LARGE" || refusal.Reason == "COMMIT_CONFLICT"
}

// isFault says whether the other side has failed, which may lie in the request all the same.
func isFault(refusal *RequestError) bool {
	return refusal.Code == codes.Unknown || refusal.Code == codes.Internal || refusal.Code == codes.DataLoss
}

// How often a request is sent that a fault answers: for about half a minute.
const faultTries = 20

// The run is no longer this worker's.
var goneReasons = map[Reason]bool{LeaseLost: true, RunTerminal: true, RunPaused: true, "ILLEGAL_TRANSITION": true}

type answer struct {
	message proto.Message
	err     error
}

// ask sends a request until the platform has answered it. It does not return
// once the run has left: the goroutine ends. `request` is called with the run
// locked, each time anew, since a cancel may replace the fence; where it makes none
// since the run is cancelled, that is the error. `taken` is called
// with the answer before any later one is looked at.
func (r *run) ask(request func() proto.Message, taken func(proto.Message)) (proto.Message, error) {
	return r.persist(func() (proto.Message, error) {
		r.mu.Lock()
		message := request()
		cancelled := r.cancelReason
		r.mu.Unlock()
		if message == nil {
			return nil, cancelled
		}
		answered := make(chan answer, 1)
		r.link.exchange(r, message, func(reply proto.Message, err error) {
			if err == nil && taken != nil {
				taken(reply)
			}
			answered <- answer{reply, err}
		})
		select {
		case a := <-answered:
			return a.message, a.err
		case <-r.gone:
			runtime.Goexit()
			return nil, nil
		}
	})
}

// persist calls until the platform has answered, or says what the caller is to deal with.
func (r *run) persist(send func() (proto.Message, error)) (proto.Message, error) {
	delay := 50 * time.Millisecond
	faults := 0
	for {
		r.mu.Lock()
		fence := r.fence
		r.mu.Unlock()
		message, err := send()
		if r.isGone() {
			runtime.Goexit()
		}
		var refusal *RequestError
		if err == nil || !errors.As(err, &refusal) || !goneReasons[refusal.Reason] && isForCaller(refusal) {
			return message, err
		}
		if goneReasons[refusal.Reason] {
			r.mu.Lock()
			changed := fence != r.fence
			r.mu.Unlock()
			if changed {
				continue
			}
			// A cancel may have replaced the fence without a word: with plain calls nobody is told unasked.
			if refusal.Reason != LeaseLost || r.link.attention(r) {
				r.mu.Lock()
				changed = fence != r.fence
				r.mu.Unlock()
				if changed {
					continue
				}
				r.leave(refusal.Message)
				runtime.Goexit()
			}
		}
		if isFault(refusal) {
			faults++
		}
		if faults >= faultTries {
			return message, err
		}
		r.log.Warn("the platform could not take a report; it is sent again", "run", r.id, "reason", refusal.Reason)
		pause := delay
		if refusal.RetryAfter > 0 {
			pause = refusal.RetryAfter
		}
		delay = min(2*delay, 2*time.Second)
		select {
		case <-time.After(pause):
		case <-r.gone:
			runtime.Goexit()
		}
	}
}

// fetch returns the payload with its data, which may have been too large to travel along.
func (r *run) fetch(payload *pb.Payload) (*pb.Payload, error) {
	if payload.GetRef() == nil {
		return payload, nil
	}
	message, err := r.persist(func() (proto.Message, error) {
		return r.link.download(r.present, payload)
	})
	if err != nil {
		return nil, err
	}
	return message.(*pb.Payload), nil
}

// store uploads a payload that is too large to travel along; returns what to send in its place.
func (r *run) store(payload *pb.Payload, what string) (*pb.Payload, error) {
	size := len(payload.Data)
	if size <= inlinePayloadBytesMax {
		return payload, nil
	}
	if size > payloadBytesMax {
		return nil, &SerializationError{What: what, Err: usage("it has %d bytes (limit %d); store it elsewhere and return a reference", size, payloadBytesMax)}
	}
	message, err := r.persist(func() (proto.Message, error) {
		return r.link.upload(r.present, payload.Data)
	})
	if err != nil {
		return nil, err
	}
	return &pb.Payload{Encoding: payload.Encoding, Ref: message.(*pb.PayloadRef)}, nil
}
