package pawl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
)

// ClientOptions say where the server is.
type ClientOptions struct {
	// The server's address, such as http://127.0.0.1:8000. Default: the environment variable PAWL_GRPC_URL, which is
	// its gRPC address, else PAWL_URL, else where `pawl serve` listens on this machine.
	URL string
	// How long a call is retried while the server is unreachable; then the call fails. Default: 15 s, which
	// covers a restart of the server. In a web handler use about 2 s.
	RetryFor time.Duration
	// Receives the client's own log lines. Default: slog.Default().
	Logger *slog.Logger
}

// Client starts and controls runs.
type Client struct {
	platform *platform
	log      *slog.Logger
}

// NewClient makes a client, which connects with its first call.
func NewClient(options ClientOptions) (*Client, error) {
	if options.RetryFor == 0 {
		options.RetryFor = 15 * time.Second
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	p, err := dial(orElse(options.URL, defaultURL()), options.RetryFor)
	if err != nil {
		return nil, err
	}
	p.framed = &framedCalls{runs: p.runs}
	return &Client{platform: p, log: options.Logger}, nil
}

// Close ends the connection; calls in flight fail.
func (c *Client) Close() { c.platform.close() }

// forRuns is the same connection for runs that this process executes: they call for as long as they live,
// and with unary calls, because each has its own requests in flight.
func (p *platform) forRuns() *platform {
	other := *p
	other.patience, other.framed = forever, nil
	return &other
}

func (c *Client) startRequest(ctx context.Context, name string, def *definition, in any, options []StartOption) (*pb.StartRunRequest, error) {
	payload, err := encode(in, fmt.Sprintf("the input of workflow %q", name))
	if err != nil {
		return nil, err
	}
	request := &pb.StartRunRequest{Workflow: name}
	for _, option := range options {
		option.applyStart(request)
	}
	if request.RunId == "" && request.IdempotencyKey == "" && request.Debounce == nil {
		// Chosen here, so that the request can be sent again without starting a second run.
		request.RunId = newUUIDv7()
		if def != nil && def.options.ID != "" {
			t, err := parseTemplate(def.options.ID)
			if err != nil {
				return nil, err
			}
			if request.RunId, err = t.render(payload); err != nil {
				return nil, err
			}
		}
	}
	def.applyDefaults(request)
	if err := checkStart(request); err != nil {
		return nil, err
	}
	request.Input, err = c.platform.storable(ctx, payload)
	return request, err
}

// Start starts a run and returns its handle. If a run with the same id and input exists, it returns its handle.
func Start[In, Out any](ctx context.Context, client *Client, workflow *Workflow[In, Out], in In, options ...StartOption) (*RunHandle[Out], error) {
	return start[Out](ctx, client, workflow.def.name, workflow.def, in, options)
}

// StartNamed is Start for a workflow of another program, in any language.
func StartNamed[Out any](ctx context.Context, client *Client, workflow string, in any, options ...StartOption) (*RunHandle[Out], error) {
	return start[Out](ctx, client, workflow, nil, in, options)
}

func start[Out any](ctx context.Context, client *Client, name string, def *definition, in any, options []StartOption) (*RunHandle[Out], error) {
	if _, inRun := placeOf(ctx); inRun {
		return nil, usage("Start inside of a run would not be recorded as a part of it; use Child")
	}
	request, err := client.startRequest(ctx, name, def, in, options)
	if err != nil {
		return nil, err
	}
	response, err := call(ctx, client.platform, client.platform.runs.StartRun, request)
	if err != nil {
		return nil, err
	}
	return &RunHandle[Out]{client: client, RunID: response.Run.GetRunId(), Existing: response.Existing}, nil
}

// Run starts a run and waits for its result, which takes one call instead of two. A worker executes the run;
// Execute does so in this process.
func Run[In, Out any](ctx context.Context, client *Client, workflow *Workflow[In, Out], in In, options ...StartOption) (Out, error) {
	return startAndWait[Out](ctx, client, workflow.def.name, workflow.def, in, options)
}

// RunNamed is Run for a workflow of another program, in any language.
func RunNamed[Out any](ctx context.Context, client *Client, workflow string, in any, options ...StartOption) (Out, error) {
	return startAndWait[Out](ctx, client, workflow, nil, in, options)
}

func startAndWait[Out any](ctx context.Context, client *Client, name string, def *definition, in any, options []StartOption) (Out, error) {
	var none Out
	if _, inRun := placeOf(ctx); inRun {
		return none, usage("Run inside of a run would not be recorded as a part of it; use Child")
	}
	request, err := client.startRequest(ctx, name, def, in, options)
	if err != nil {
		return none, err
	}
	response, err := client.platform.startAndWait(ctx, request, resultWait)
	if err != nil {
		return none, err
	}
	if hasEnded(response.Run) {
		return endOf[Out](ctx, client.platform, response.Run)
	}
	return Handle[Out](client, response.Run.GetRunId()).Result(ctx)
}

// RunHandle is a run with a result of type Out, to wait for, watch and control.
type RunHandle[Out any] struct {
	RunID string
	// Whether the run existed before Start was called.
	Existing bool
	client   *Client
}

// Handle returns a handle for an existing run; it sends no request.
func Handle[Out any](client *Client, runID string) *RunHandle[Out] {
	return &RunHandle[Out]{client: client, RunID: runID, Existing: true}
}

func hasEnded(run *pb.Run) bool {
	switch run.GetStatus() {
	case pb.RunStatus_RUN_STATUS_COMPLETED, pb.RunStatus_RUN_STATUS_FAILED, pb.RunStatus_RUN_STATUS_CANCELLED:
		return true
	}
	return false
}

// Result waits for the run's end and returns its result; a *RunFailedError where it has none.
func (h *RunHandle[Out]) Result(ctx context.Context) (Out, error) {
	p := h.client.platform
	for {
		response, err := call(ctx, p, p.runs.WaitRun, &pb.WaitRunRequest{RunId: h.RunID, Timeout: durationpb.New(resultWait)})
		if err != nil {
			var none Out
			return none, err
		}
		if hasEnded(response.Run) {
			return endOf[Out](ctx, p, response.Run)
		}
	}
}

// endOf returns the result of a run that has ended.
func endOf[Out any](ctx context.Context, p *platform, run *pb.Run) (Out, error) {
	var none Out
	if run.Status != pb.RunStatus_RUN_STATUS_COMPLETED {
		return none, &RunFailedError{Failure: failureOf(run.Failure), RunID: run.RunId, Cancelled: run.Status == pb.RunStatus_RUN_STATUS_CANCELLED}
	}
	payload, err := p.download(ctx, run.Output)
	if err != nil {
		return none, err
	}
	return decode[Out](payload, "the result of run "+run.RunId)
}

// Get returns the run as it is now.
func (h *RunHandle[Out]) Get(ctx context.Context) (*pb.Run, error) {
	return h.client.platform.getRun(ctx, h.RunID)
}

// SignalSendOptions identify a signal and its sender.
type SignalSendOptions struct {
	// For deduplication: sending again with the same id has no effect. Default: a random id. Set it in web handlers,
	// so that a second click does not send a second signal.
	SignalID string
	// Who sends it; shown in the run's history.
	Actor string
}

// Signal puts a signal into the run's inbox. It accepts at most one set of options.
func (h *RunHandle[Out]) Signal(ctx context.Context, name string, payload any, options ...SignalSendOptions) error {
	var chosen SignalSendOptions
	if len(options) > 1 {
		return usage("Signal(%q) has more than one set of options", name)
	} else if len(options) == 1 {
		chosen = options[0]
	}
	if err := checkName("a signal", name); err != nil {
		return err
	}
	encoded, err := encode(payload, fmt.Sprintf("the payload of signal %q", name))
	if err != nil {
		return err
	}
	p := h.client.platform
	if encoded, err = p.storable(ctx, encoded); err != nil {
		return err
	}
	_, err = call(ctx, p, p.signals.SendSignal, &pb.SendSignalRequest{
		RunId: h.RunID, Name: name, SignalId: orElse(chosen.SignalID, newUUIDv7()), Payload: encoded, Actor: chosen.Actor,
	})
	return err
}

// CancelOption is a Grace or Force.
type CancelOption interface{ applyCancel(*pb.CancelRunRequest) }

// Grace is how long a worker may clean up, counted from when it gets the run for that. Default 10 s, at most 1 h.
type Grace time.Duration

func (g Grace) applyCancel(r *pb.CancelRunRequest) { r.Grace = durationpb.New(time.Duration(g)) }

type forceOption struct{}

func (forceOption) applyCancel(r *pb.CancelRunRequest) { r.Force = true }

// Force cancels a run immediately, without a worker and without its cleanup.
func Force() CancelOption { return forceOption{} }

// Cancel ends the run. One that has started is cleaned up by a worker first, which gets 10 s for that.
func (h *RunHandle[Out]) Cancel(ctx context.Context, reason string, options ...CancelOption) error {
	p := h.client.platform
	request := &pb.CancelRunRequest{RunId: h.RunID, Reason: reason}
	for _, option := range options {
		option.applyCancel(request)
	}
	_, err := call(ctx, p, p.runs.CancelRun, request)
	return err
}

// Pause stops the run at its next step, until Resume.
func (h *RunHandle[Out]) Pause(ctx context.Context, reason string) error {
	p := h.client.platform
	_, err := call(ctx, p, p.runs.PauseRun, &pb.PauseRunRequest{RunId: h.RunID, Reason: reason})
	return err
}

// Resume continues a paused run.
func (h *RunHandle[Out]) Resume(ctx context.Context) error {
	p := h.client.platform
	_, err := call(ctx, p, p.runs.ResumeRun, &pb.ResumeRunRequest{RunId: h.RunID})
	return err
}

// Retry continues a failed run from its failed step; of one that was cancelled it executes the
// compensations that were not done.
func (h *RunHandle[Out]) Retry(ctx context.Context) error {
	p := h.client.platform
	_, err := call(ctx, p, p.runs.RetryRun, &pb.RetryRunRequest{RunId: h.RunID})
	return err
}

// Delete deletes the run, which must have ended, with everything that belongs to it.
func (h *RunHandle[Out]) Delete(ctx context.Context) error {
	p := h.client.platform
	_, err := call(ctx, p, p.runs.DeleteRun, &pb.DeleteRunRequest{RunId: h.RunID})
	return err
}

// UpdateTags sets and removes tags of the run, which may have ended.
func (h *RunHandle[Out]) UpdateTags(ctx context.Context, set Tags, remove ...string) error {
	if err := checkTexts(nil, set); err != nil {
		return err
	}
	p := h.client.platform
	_, err := call(ctx, p, p.runs.UpdateTags, &pb.UpdateTagsRequest{RunId: h.RunID, Set: set, Remove: remove})
	return err
}

// Journal returns the run's journal from its first entry.
func (h *RunHandle[Out]) Journal(ctx context.Context) ([]*pb.JournalEntry, error) {
	var all []*pb.JournalEntry
	err := h.client.platform.journal(ctx, h.RunID, 0, func(entries []*pb.JournalEntry) { all = append(all, entries...) })
	return all, err
}

// WatchOptions selects the events of a run to watch.
type WatchOptions struct {
	// Checkpoints (journal entries), deltas (live output) or both. Default: both.
	Classes []pb.EventClass
	// The cursor of the event to continue after. Default: from the start of the run.
	AfterCursor string
	// Only events from now on. Default: false. It has no effect together with AfterCursor.
	FromNow bool
	// The events of all descendant runs, too; their RunId says where they are from. At most 64 children are followed
	// at once, each until it or its parent ends.
	Children bool
	// Wait for a run that does not exist yet, instead of failing with NotFound. Default: false.
	WaitForStart bool
}

// Watch yields what happens in the run, to its end. It reconnects by itself. The
// last pair has an error if there was one.
func (h *RunHandle[Out]) Watch(ctx context.Context, options WatchOptions) iter.Seq2[*pb.Event, error] {
	return func(yield func(*pb.Event, error) bool) {
		cursor := options.AfterCursor
		pause := pauses{first: 50 * time.Millisecond, most: time.Second}
		for {
			err := h.watchOnce(ctx, options, &cursor, func(event *pb.Event) bool {
				pause.next = 0
				return yield(event, nil)
			})
			if err == nil {
				return
			}
			if ctx.Err() != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			if !isTransient(err) && !errors.Is(err, Reason("SLOW_CONSUMER")) {
				yield(nil, err)
				return
			}
			pause.sleep(ctx)
		}
	}
}

// DecodeEvent decodes the payload of a delta into target.
func DecodeEvent(event *pb.Event, target any) error { return decodeInto(event.Payload, target) }

func (h *RunHandle[Out]) watchOnce(ctx context.Context, options WatchOptions, cursor *string, yield func(*pb.Event) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := h.client.platform.events.WatchRun(ctx, &pb.WatchRunRequest{
		RunId: h.RunID, Classes: options.Classes, AfterCursor: *cursor,
		FromNow: options.FromNow && *cursor == "", WaitForStart: options.WaitForStart, IncludeChildren: options.Children,
	})
	if err != nil {
		return errorOf(err)
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errorOf(err)
		}
		if message.Cursor != "" {
			*cursor = message.Cursor
		}
		for _, event := range message.Events {
			*cursor = event.Cursor
			if !yield(event) {
				return nil
			}
		}
	}
}

// Answer answers a question of the run: by a bool to an approval, a string, strings,
// or what the form asks for. `actor` says who answers.
func (h *RunHandle[Out]) Answer(ctx context.Context, stepKey string, answer any, actor, comment string) error {
	payload, err := encode(answer, "the answer")
	if err != nil {
		return err
	}
	p := h.client.platform
	_, err = call(ctx, p, p.waits.AnswerWait, &pb.AnswerWaitRequest{
		RunId: h.RunID, StepKey: stepKey, ResolutionId: newUUIDv7(), Actor: actor, Comment: comment,
		Response: &pb.AnswerWaitRequest_Answer{Answer: payload},
	})
	return err
}
