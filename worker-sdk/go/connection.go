// Section S of docs/replay-machine.md.

package pawl

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// connection is a worker's side of WorkerService.Attach.
//
//	connecting ─▶ open ─▶ connecting …      until it is closed or refused
//
// S1: Hello is the first message of every stream, and nothing else leaves before
// Welcome has arrived. S2: a request is kept until it is answered, and sent again,
// with the same content and id, on the next stream if its run's lease has
// survived. S3: no step starts unless the stream is open and a heartbeat was
// answered that was sent within the lease time, and after the last time that the process stood
// still. S4: credits granted never exceed
// the free slots.
type connection struct {
	platform    *platform
	info        *pb.WorkerInfo
	definitions map[string]*definition
	slots       int
	log         *slog.Logger
	deltas      *deltas
	notes       notes

	isOpen atomic.Bool
	// No new stream follows the one that ends.
	closing atomic.Bool
	// Until when the leases are known to hold, by the monotonic clock.
	leaseUntil atomic.Int64
	stale      atomic.Bool
	pulse      pulse

	mu    sync.Mutex
	held  map[string]*held
	calls map[uint32]*pendingCall
	// A stream was cut, and not all calls have been sent again since.
	careful  bool
	nextID   uint32
	outbox   *outbox[*pb.WorkerFrame]
	credits  int
	draining bool
	heardAt  time.Time
	lease    time.Duration
	// When the heartbeats were sent that have not been answered, oldest first.
	beats      []time.Time
	opened     chan struct{}
	wasOpened  bool
	complained bool
}

// held is a run in a slot. What is said about it while its journal is still being
// read waits until it has started.
type held struct {
	item *pb.WorkItem
	run  *run
	news []func(*run)
	// The execution before, where it is executed anew.
	before *run
}

// The id of every heartbeat: an error under it is the oldest one's.
const heartbeatID = 0xffff_ffff

var started = time.Now()

func newSession(p *platform, info *pb.WorkerInfo, definitions map[string]*definition, slots int, log *slog.Logger) *connection {
	s := &connection{
		platform: p, info: info, definitions: definitions, slots: slots, log: log,
		held: map[string]*held{}, calls: map[uint32]*pendingCall{}, lease: 15 * time.Second, opened: make(chan struct{}),
	}
	s.notes.announce = s.announce
	s.deltas = &deltas{send: s.sendDeltas, onDrop: func(count int) {
		log.Warn("live output was dropped: the server does not keep up", "events", count)
	}}
	return s
}

// keepUp connects, again after each end, until the context is done or the server
// refuses this worker for good.
func (s *connection) keepUp(ctx context.Context) error {
	pause := pauses{first: 50 * time.Millisecond, most: time.Second}
	go s.watchPulse(ctx)
	for {
		welcomed, err := s.connect(ctx)
		s.isOpen.Store(false)
		if ctx.Err() != nil || s.closing.Load() {
			return nil
		}
		var known *RequestError
		if errors.As(err, &known) {
			switch known.Reason {
			case "VERSION_UNSUPPORTED", InvalidArgument, "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED":
				return err
			}
		}
		if welcomed && isCut(err) {
			s.log.Warn("the connection ended in an error", "error", err)
			s.streamCut(err)
		} else if welcomed {
			pause.next = 0
		}
		if !s.complained {
			s.complained = true
			s.log.Warn("there is no connection to the server; retrying", "error", err)
		}
		pause.sleep(ctx)
	}
}

// connect is one stream, from its start to its end.
func (s *connection) connect(ctx context.Context) (welcomed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.platform.workers.Attach(ctx)
	if err != nil {
		return false, errorOf(err)
	}
	box := workerOutbox(s.unsendable)
	hello := &pb.Hello{ProtocolVersion: 1, Worker: s.info}
	s.mu.Lock()
	s.outbox, s.credits, s.heardAt = box, 0, time.Now()
	s.beats = []time.Time{time.Now()}
	hello.Leases = s.leases()
	s.mu.Unlock()
	if err := stream.Send(&pb.WorkerServiceAttachRequest{Frames: []*pb.WorkerFrame{{Body: &pb.WorkerFrame_Hello{Hello: hello}}}}); err != nil {
		_, err := stream.Recv()
		return false, errorOf(err)
	}
	go box.run(ctx, stream)
	greeting := time.AfterFunc(5*time.Second, cancel)
	defer greeting.Stop()
	for {
		message, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return welcomed, errorOf(err)
		}
		greeting.Stop()
		s.receive(ctx, cancel, message, hello)
		welcomed = true
	}
}

// leases are those of the runs that it holds. The connection is locked.
func (s *connection) leases() []*pb.Lease {
	leases := make([]*pb.Lease, 0, len(s.held))
	for id, h := range s.held {
		leases = append(leases, h.lease(id))
	}
	return leases
}

func (h *held) lease(id string) *pb.Lease {
	lease := &pb.Lease{RunId: id, Fence: h.item.Lease.Fence, Attempt: h.item.Lease.Attempt}
	if h.run != nil {
		h.run.mu.Lock()
		lease.Fence = h.run.fence
		h.run.mu.Unlock()
	}
	return lease
}

func (s *connection) receive(ctx context.Context, cancel context.CancelFunc, message *pb.WorkerServiceAttachResponse, hello *pb.Hello) {
	s.mu.Lock()
	s.heardAt = time.Now()
	s.mu.Unlock()
	for _, frame := range message.Frames {
		switch body := frame.Body.(type) {
		case *pb.ServerFrame_Reply:
			s.settle(body.Reply)
		case *pb.ServerFrame_Dispatch:
			s.dispatch(body.Dispatch.Item)
		case *pb.ServerFrame_WaitResolved:
			s.tell(body.WaitResolved.RunId, func(r *run) { r.waitResolved(body.WaitResolved.Entry) })
		case *pb.ServerFrame_Cancel:
			s.tell(body.Cancel.RunId, func(r *run) { r.cancelBy(body.Cancel.Fence, body.Cancel.Reason, body.Cancel.Grace.AsDuration()) })
		case *pb.ServerFrame_Pause:
			s.tell(body.Pause.RunId, (*run).pause)
		case *pb.ServerFrame_LeaseResults:
			// News that nobody asked for say nothing of the heartbeats that are under way.
			if !body.LeaseResults.Notice {
				s.answered()
			}
			for _, result := range body.LeaseResults.Results {
				s.tell(result.RunId, func(r *run) { r.leaseResult(result) })
			}
		case *pb.ServerFrame_Welcome:
			s.welcome(ctx, cancel, body.Welcome, hello)
		case *pb.ServerFrame_Drain:
			go s.moveOn(ctx, cancel)
		case *pb.ServerFrame_Ping:
			s.push(&pb.WorkerFrame{Body: &pb.WorkerFrame_Pong{Pong: &pb.Pong{Nonce: body.Ping.Nonce}}})
		}
	}
	if s.stale.Load() && s.canStart() {
		s.stale.Store(false)
		s.wakeAll()
	}
}

// welcome opens the connection.
func (s *connection) welcome(ctx context.Context, cancel context.CancelFunc, welcome *pb.Welcome, hello *pb.Hello) {
	survived := map[string]bool{}
	for _, lease := range welcome.Leases {
		survived[lease.RunId] = true
	}
	for _, lease := range hello.Leases {
		if !survived[lease.RunId] {
			s.drop(lease.RunId, "the lease did not survive the reconnection")
		}
	}
	interval := 5 * time.Second
	if welcome.HeartbeatInterval != nil {
		interval = welcome.HeartbeatInterval.AsDuration()
	}
	s.mu.Lock()
	if welcome.LeaseTime != nil {
		s.lease = welcome.LeaseTime.AsDuration()
	}
	s.complained = false
	// S2, before anything new.
	s.resend()
	if s.draining {
		s.outbox.push(drainingFrame, frameBytes)
	}
	s.isOpen.Store(true)
	first := !s.wasOpened
	s.wasOpened = true
	s.grant()
	s.mu.Unlock()
	s.answered()
	s.stale.Store(false)
	if !s.pulse.isVouched() {
		s.stale.Store(true)
		s.heartbeat()
	}
	go s.beat(ctx, cancel, interval)
	s.wakeAll()
	s.log.Info("connected, ready for work", "connection", welcome.ConnectionId)
	if first {
		close(s.opened)
	}
}

// beat renews the leases, and gives up on a stream that the server has fallen silent on.
func (s *connection) beat(ctx context.Context, cancel context.CancelFunc, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		silent := time.Since(s.heardAt)
		s.mu.Unlock()
		if silent > interval*5/2 {
			cancel()
			return
		}
		s.heartbeat()
	}
}

func (s *connection) heartbeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isOpen.Load() {
		return
	}
	s.beats = append(s.beats, time.Now())
	heartbeat := &pb.Heartbeat{InFlight: uint32(len(s.held)), Held: &pb.HeldRuns{Leases: s.leases()}}
	s.outbox.push(&pb.WorkerFrame{Id: heartbeatID, Body: &pb.WorkerFrame_Heartbeat{Heartbeat: heartbeat}}, frameBytes*(1+len(s.held)))
}

// answered notes that the oldest heartbeat was answered. It vouches for the lease time from when it was sent.
func (s *connection) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.beats) > 0 {
		s.pulse.vouched(s.beats[0])
		s.leaseUntil.Store(int64(s.beats[0].Sub(started) + s.lease))
		s.beats = s.beats[1:]
	}
}

// moveOn leaves a server that is going away. Another one, or its successor, takes over.
func (s *connection) moveOn(ctx context.Context, cancel context.CancelFunc) {
	s.mu.Lock()
	box := s.outbox
	s.mu.Unlock()
	wait(ctx, time.Duration(rand.Int64N(int64(250*time.Millisecond))))
	box.close()
	wait(ctx, time.Second)
	cancel()
}

func wait(ctx context.Context, duration time.Duration) {
	select {
	case <-time.After(duration):
	case <-ctx.Done():
	}
}

func (s *connection) ready() <-chan struct{} { return s.opened }

func (s *connection) wakeAll() {
	for _, id := range s.ids() {
		s.tell(id, (*run).wake)
	}
}

// ids are those of the runs that it holds.
func (s *connection) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.held))
}

// close ends the stream; the server releases what is still leased.
func (s *connection) close(ctx context.Context) {
	s.closing.Store(true)
	s.deltas.flush(nil)
	for _, id := range s.ids() {
		s.drop(id, "the worker stops")
	}
	s.mu.Lock()
	box := s.outbox
	s.mu.Unlock()
	if box != nil {
		box.close()
		wait(ctx, time.Second)
	}
}
