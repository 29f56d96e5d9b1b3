package pawl

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
)

// poller is a worker without a stream: it asks for work by long polls, and reports by
// plain calls.
type poller struct {
	platform    *platform
	info        *pb.WorkerInfo
	definitions map[string]*definition
	slots       int
	log         *slog.Logger

	opened chan struct{}
	// Polling ends; what is under way continues.
	polling context.Context
	stop    context.CancelFunc
	// Has a token when a slot has become free.
	free chan struct{}

	mu   sync.Mutex
	held map[string]*held
}

func newPoller(p *platform, info *pb.WorkerInfo, definitions map[string]*definition, slots int, log *slog.Logger) *poller {
	w := &poller{
		platform: p, info: info, definitions: definitions, slots: slots, log: log,
		opened: make(chan struct{}), free: make(chan struct{}, 1), held: map[string]*held{},
	}
	w.polling, w.stop = context.WithCancel(context.Background())
	return w
}

func (w *poller) ready() <-chan struct{} { return w.opened }
func (w *poller) drain()                 { w.stop() }

func (w *poller) inFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.held)
}

// keepUp asks for work until the context is done, or it is told to drain, or the
// server refuses this worker for good.
func (w *poller) keepUp(ctx context.Context) error {
	defer context.AfterFunc(ctx, w.stop)()
	go w.keepLeases(ctx)
	pause := pauses{first: 50 * time.Millisecond, most: time.Second}
	complained, answered := false, false
	for w.polling.Err() == nil {
		room := w.slots - w.inFlight()
		if room <= 0 {
			select {
			case <-w.free:
			case <-w.polling.Done():
			}
			continue
		}
		// The first answer comes at once, to say that the workflows are registered.
		wait := pollWait
		if !answered {
			wait = time.Millisecond
		}
		err := w.pollOnce(min(room, pollItemsMax), wait)
		if w.polling.Err() != nil {
			break
		}
		var known *RequestError
		if errors.As(err, &known) && !isTransient(err) && known.Reason != "DEADLINE_EXCEEDED" {
			return err
		}
		if err != nil {
			if !complained {
				complained = true
				w.log.Warn("work could not be asked for; trying again until it can", "error", err)
			}
			pause.sleep(w.polling)
			continue
		}
		if !answered {
			close(w.opened)
		}
		answered, complained, pause.next = true, false, 0
	}
	<-ctx.Done()
	return nil
}

func (w *poller) pollOnce(itemsMax int, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(w.polling, wait+10*time.Second)
	defer cancel()
	response, err := w.platform.workers.PollWork(ctx, &pb.PollWorkRequest{
		Worker: w.info, MaxItems: uint32(itemsMax), Wait: durationpb.New(wait),
	})
	if err != nil {
		return errorOf(err)
	}
	for _, item := range response.Items {
		w.take(item)
	}
	return nil
}

// take takes a run on and starts to execute it.
func (w *poller) take(item *pb.WorkItem) {
	def := w.definitions[item.Workflow]
	if def == nil {
		w.log.Error("the server sent a run of a workflow that this worker does not serve", "workflow", item.Workflow)
		return
	}
	id := item.GetLease().GetRunId()
	// It comes back to where it was lost: what is left of it here is no longer valid.
	w.drop(id, "the run was dispatched again")
	h := &held{item: item}
	w.mu.Lock()
	w.held[id] = h
	w.mu.Unlock()
	go w.launch(h, def)
}

// launch reads what is left of the journal, then executes the run.
func (w *poller) launch(h *held, def *definition) {
	m := newMemo()
	m.add(h.item.Journal...)
	if h.item.JournalMore {
		err := w.platform.journal(context.Background(), h.item.Lease.RunId, m.lastSeq, func(entries []*pb.JournalEntry) { m.add(entries...) })
		if err != nil {
			w.log.Error("a run's journal could not be read; the run is given up", "run", h.item.Lease.RunId, "error", err)
			w.remove(h)
			return
		}
	}
	link := newUnaryLink(w.platform, w.log)
	link.givesBack = true
	link.onReleased = func(*run) { w.remove(h) }
	link.onRestart = func(r *run) { w.restart(h, r) }
	r := newRun(def, h.item, m, link, w.log)
	if h.before != nil {
		r.link = h.before.link
		r.follow(h.before)
	}
	w.mu.Lock()
	current := w.held[r.id] == h
	if current {
		h.run = r
	}
	w.mu.Unlock()
	if !current {
		r.leave("the run was taken back while its journal was read")
		return
	}
	r.perform()
}

// restart executes a run anew, unless it was taken back.
func (w *poller) restart(h *held, r *run) {
	w.mu.Lock()
	isHeld := w.held[r.id] == h && h.run == r
	if isHeld {
		h.item, h.run, h.before = r.again(), nil, r
	}
	w.mu.Unlock()
	if isHeld {
		w.launch(h, r.def)
	}
}

func (w *poller) remove(h *held) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id := h.item.Lease.RunId; w.held[id] == h {
		delete(w.held, id)
		select {
		case w.free <- struct{}{}:
		default:
		}
	}
}

// drop ends the execution of a run that is no longer this worker's.
func (w *poller) drop(id, why string) {
	w.mu.Lock()
	h := w.held[id]
	r := h.execution()
	w.mu.Unlock()
	if r != nil {
		r.leave(why)
	} else if h != nil {
		w.remove(h)
	}
}

// keepLeases renews the leases of all runs, and passes on what is said about them.
func (w *poller) keepLeases(ctx context.Context) {
	for wait(ctx, heartbeatInterval); ctx.Err() == nil; wait(ctx, heartbeatInterval) {
		request := &pb.HeartbeatLeasesRequest{}
		w.mu.Lock()
		for id, h := range w.held {
			request.Leases = append(request.Leases, h.lease(id))
		}
		w.mu.Unlock()
		if len(request.Leases) == 0 {
			continue
		}
		within, cancel := context.WithTimeout(ctx, heartbeatInterval)
		response, err := w.platform.workers.HeartbeatLeases(within, request)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				// The next one tries again; every write names its fence, so nothing is at risk meanwhile.
				w.log.Warn("the leases could not be renewed", "error", err)
			}
			continue
		}
		for _, result := range response.Results {
			w.mu.Lock()
			r := w.held[result.RunId].execution()
			w.mu.Unlock()
			if r != nil {
				r.leaseResult(result)
			}
		}
	}
}

func (w *poller) close(context.Context) {
	w.stop()
	w.mu.Lock()
	ids := make([]string, 0, len(w.held))
	for id := range w.held {
		ids = append(ids, id)
	}
	w.mu.Unlock()
	for _, id := range ids {
		w.drop(id, "the worker stops")
	}
}
