package pawl

import (
	"context"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// definition is a workflow without its types.
type definition struct {
	name         string
	options      WorkflowOptions
	stepDefaults stepSettings
	// Of the worker that serves it.
	tracer        StepTracer
	replaysAlways bool
	// Executes the code: payload in, payload out.
	invoke func(ctx context.Context, input *pb.Payload) (*pb.Payload, error)
}

func (d *definition) spec() *pb.WorkflowSpec {
	return &pb.WorkflowSpec{
		Name: d.name, Version: d.options.Version, Description: d.options.Description,
		InputSchema: d.options.InputSchema, OutputSchema: d.options.OutputSchema, Timeouts: d.timeouts(), Flow: d.flow(),
	}
}

// applyDefaults fills in what the workflow says about its runs.
func (d *definition) applyDefaults(request *pb.StartRunRequest) {
	if d == nil {
		return
	}
	request.Queue = orElse(request.Queue, d.options.Queue)
	if own := d.timeouts(); own != nil {
		// What the start says of itself counts.
		proto.Merge(own, request.Timeouts)
		request.Timeouts = own
	}
}

// flow is the limits of the workflow's runs; nil where there are none.
func (d *definition) flow() *pb.FlowControl {
	o := d.options
	if o.Concurrency == nil && o.RateLimit == nil && o.FairnessKey == "" {
		return nil
	}
	flow := &pb.FlowControl{FairnessKey: string(o.FairnessKey)}
	if o.Concurrency != nil {
		flow.Concurrency = o.Concurrency.message()
	}
	if o.RateLimit != nil {
		flow.Rate = o.RateLimit.message()
	}
	return flow
}

// timeouts are the limits of the workflow's runs; nil where there are none.
func (d *definition) timeouts() *pb.RunTimeouts {
	var timeouts *pb.RunTimeouts
	if d.options.Timeout > 0 || d.options.QueueTimeout > 0 {
		timeouts = &pb.RunTimeouts{}
	}
	if d.options.Timeout > 0 {
		timeouts.Run = durationpb.New(d.options.Timeout)
	}
	if d.options.QueueTimeout > 0 {
		timeouts.Queue = durationpb.New(d.options.QueueTimeout)
	}
	return timeouts
}
