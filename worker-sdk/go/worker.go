package pawl

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// WorkerOptions say what a worker serves, and from where.
type WorkerOptions struct {
	// The server's address, such as http://127.0.0.1:8000. Default: the environment variable PAWL_GRPC_URL, which is
	// its gRPC address, else PAWL_URL, else where `pawl serve` listens on this machine.
	URL string
	// The workflows that the worker serves; at least one, with unique names.
	Workflows []AnyWorkflow
	// The maximum number of runs that the worker executes at the same time, 1 to 10,000. Default: 100, which
	// suits workflows that mostly wait for I/O. Runs beyond it stay queued or go to other workers; a run that
	// waits for long frees its slot. Lower it if steps use much CPU or memory.
	Slots int
	// The queues that the worker serves. Default: `default`. Runs in a queue that no worker serves stay QUEUED.
	Queues []string
	// The name that people see, unique per process. Default: the host name and the process id.
	WorkerID string
	// The version of your program, shown to people. It does not affect dispatch.
	BuildVersion string
	// Free-form labels shown to people. They do not affect dispatch.
	Labels map[string]string
	// Uses unary calls instead of a stream, for networks that block streams. It is several times slower, and
	// runs are taken over 15 s after a crash instead of half a second. Default: false.
	Poll bool
	// Executes each run again from its journal after every recorded entry, to detect code that is not
	// deterministic. It is slow and meant for development. Default: true if the environment has
	// PAWL_REPLAY_ALWAYS=1.
	ReplayAlways bool
	// How long runs continue after Run's context is done. Other runs continue in another worker, and their
	// steps in flight are executed again. Default: 10 s, which is below the usual 30 s between SIGTERM and
	// SIGKILL.
	DrainTimeout time.Duration
	// Called for each attempt of a step, to export spans. Default: none.
	TraceStep StepTracer
	// Receives the worker's own log lines. Default: slog.Default().
	Logger *slog.Logger
}

// Worker executes the runs of some workflows.
type Worker struct {
	options  WorkerOptions
	platform *platform
	link     workerLink
	ran      atomic.Bool
}

// workerLink is how a worker gets its runs.
type workerLink interface {
	// keepUp works until the context is done, or the server refuses this worker for good.
	keepUp(ctx context.Context) error
	// ready is closed once the server knows of this worker.
	ready() <-chan struct{}
	// drain takes no more runs.
	drain()
	// inFlight is how many runs it holds.
	inFlight() int
	// close gives back what it holds.
	close(ctx context.Context)
}

// NewWorker makes a worker and checks its options. The worker connects in Run.
func NewWorker(options WorkerOptions) (*Worker, error) {
	if options.Slots == 0 {
		options.Slots = 100
	}
	if options.Slots < 1 || options.Slots > 10_000 {
		return nil, usage("Slots is 1 to 10000; it is %d", options.Slots)
	}
	if options.DrainTimeout == 0 {
		options.DrainTimeout = 10 * time.Second
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.WorkerID == "" {
		// Without a name of its own the host is one like others.
		host, _ := os.Hostname()
		options.WorkerID = fmt.Sprintf("%s-%d", orElse(host, "host"), os.Getpid())
	}
	if len(options.Workflows) == 0 {
		return nil, usage("a worker needs at least one workflow")
	}
	info := &pb.WorkerInfo{
		WorkerId: options.WorkerID, InstanceId: newUUID(), Language: "go", SdkVersion: sdkVersion,
		BuildVersion: options.BuildVersion, Queues: options.Queues, Labels: options.Labels, Slots: uint32(options.Slots),
	}
	if err := checkTexts(map[string]string{"WorkerID": info.WorkerId, "BuildVersion": info.BuildVersion}, info.Labels, info.Queues...); err != nil {
		return nil, err
	}
	if len(info.Queues) == 0 {
		info.Queues = []string{"default"}
	}
	definitions, own := map[string]*definition{}, map[string]*definition{}
	for _, workflow := range options.Workflows {
		var def *definition
		if workflow != nil {
			def = workflow.definition()
		}
		if def == nil {
			return nil, usage("one of the workflows is nil; NewWorkflow makes them")
		}
		if other := definitions[def.name]; other != nil && other != def {
			return nil, usage("two workflows have the name %q; rename one", def.name)
		}
		definitions[def.name] = def
		served := *def
		served.tracer, served.replaysAlways = options.TraceStep, options.ReplayAlways
		own[def.name] = &served
		info.Workflows = append(info.Workflows, def.spec())
	}
	p, err := dial(orElse(options.URL, defaultURL()), forever)
	if err != nil {
		return nil, err
	}
	w := &Worker{options: options, platform: p}
	if options.Poll {
		w.link = newPoller(p, info, own, options.Slots, options.Logger)
	} else {
		w.link = newSession(p, info, own, options.Slots, options.Logger)
	}
	return w, nil
}

// Ready is closed once the server knows of this worker.
func (w *Worker) Ready() <-chan struct{} { return w.link.ready() }

// WorkerID is the name of the worker that people see.
func (w *Worker) WorkerID() string { return w.options.WorkerID }

// InFlight is how many runs the worker holds.
func (w *Worker) InFlight() int { return w.link.inFlight() }

// Run works until the context is done: then it takes no more runs, lets those
// under way end or suspend, for at most the drain timeout, and gives the rest
// back. While no server is in reach it continues trying. The error is the server's
// who refuses this worker for good. A worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	if w.ran.Swap(true) {
		return usage("a worker runs once; make another one with NewWorker")
	}
	connection, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer w.platform.close()
	defer disconnect()
	refused := make(chan error, 1)
	go func() { refused <- w.link.keepUp(connection) }()
	select {
	case err := <-refused:
		return err
	case <-ctx.Done():
	}
	w.link.drain()
	end := time.Now().Add(w.options.DrainTimeout)
	for w.link.inFlight() > 0 && time.Now().Before(end) {
		time.Sleep(20 * time.Millisecond)
	}
	closing, closed := context.WithCancel(connection)
	go func() {
		<-refused
		closed()
	}()
	w.link.close(closing)
	return nil
}
