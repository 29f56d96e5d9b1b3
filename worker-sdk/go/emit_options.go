package pawl

import pb "pawl.dev/pawl/pawlv1"

// Keep is how long live output is kept. As an option of a step that streams, it is about what the step yields.
type Keep string

// Ephemeral output is only for those who watch at that moment; Buffered output is kept until the result of its step
// supersedes it, and is the default; Durable output is kept as long as the run's journal.
const (
	Ephemeral Keep = "ephemeral"
	Buffered  Keep = "buffered"
	Durable   Keep = "durable"
)

var deltaPolicies = map[Keep]pb.DeltaPolicy{
	"": pb.DeltaPolicy_DELTA_POLICY_UNSPECIFIED, Ephemeral: pb.DeltaPolicy_DELTA_POLICY_EPHEMERAL,
	Buffered: pb.DeltaPolicy_DELTA_POLICY_BUFFERED, Durable: pb.DeltaPolicy_DELTA_POLICY_DURABLE,
}

func (k Keep) applyStep(s *stepSettings) {
	s.keep = k
	if _, isKnown := deltaPolicies[k]; !isKnown {
		s.err = usage("Keep is %q; it is Ephemeral, Buffered or Durable", k)
	}
}

// EmitOptions say how an event is sent, and where it belongs.
type EmitOptions struct {
	// Default: Buffered.
	Keep Keep
	// Tells parallel streams of one step apart. Default: 0.
	ContentIndex uint32
	// Names the event, for others to name it as their parent; unique within the run. Default: none.
	ID string
	// The event that it belongs to. Default: the span, branch or step around it.
	Parent string
}
