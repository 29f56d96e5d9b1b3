package pawl

import (
	"context"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
)

// runLink is what a run needs from the platform, over a connection or by plain calls.
type runLink interface {
	// confirmsStarts says whether each start is answered before its step runs.
	confirmsStarts() bool
	// pushesWaits says whether resolutions of waits are pushed; otherwise the run asks again.
	pushesWaits() bool
	// suspends says whether the run may be given back while it waits.
	suspends() bool
	// canStart is false while the platform is out of reach: no step may start then.
	canStart() bool
	// stoodStillSince says whether this process has stood still since that moment: what the platform said
	// before may be out of date.
	stoodStillSince(moment time.Time) bool
	noteStart(a *attempt)
	// exchange sends a request of the run, after all live output that the run has
	// published so far, and calls done once it is answered: in the order of the answers, and never for a run that has left.
	exchange(r *run, request proto.Message, done func(proto.Message, error))
	// publish takes live output; it never waits, never fails, and may drop. It returns the event's number.
	publish(r *run, fence uint32, event *pb.NewEvent, size int) uint32
	// flush sends live output that is still being gathered.
	flush(r *run)
	getRun(ctx context.Context, runID string) (*pb.Run, error)
	// startRun starts a child; its definition is nil where it is known by its name only.
	startRun(ctx context.Context, request *pb.StartRunRequest, def *definition) (*pb.StartRunResponse, error)
	// journal reads the entries after one, in pages.
	journal(ctx context.Context, runID string, afterSeq uint32, take func([]*pb.JournalEntry)) error
	upload(ctx context.Context, data []byte) (*pb.PayloadRef, error)
	download(ctx context.Context, payload *pb.Payload) (*pb.Payload, error)
	// attention asks what the platform wants with the run; false where it could not be asked.
	attention(r *run) bool
	cancelWait(ctx context.Context, request *pb.CancelWaitRequest) error
	// inherit has a run continue with the live output of an execution before it.
	inherit(before, r *run)
	// restart executes the run anew, from its journal; this execution is over.
	restart(r *run)
	// released notes that the run has left this worker.
	released(r *run)
}
