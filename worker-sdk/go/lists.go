package pawl

import (
	"context"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
)

// ListOptions select the runs of a list. What is left out selects all.
type ListOptions struct {
	// Runs in any of these.
	Statuses []pb.RunStatus
	Workflow string
	// Tags that a run must have, all of them.
	Tags        map[string]string
	ParentRunID string
	// 1 to 500. Default: 50.
	PageSize int
	// The token that the previous page came with. Default: the first page.
	PageToken string
}

// List returns a page of runs, newest first, and the token of the next page, which is empty on the last one.
func (c *Client) List(ctx context.Context, options ListOptions) ([]*pb.Run, string, error) {
	response, err := call(ctx, c.platform, c.platform.runs.ListRuns, &pb.ListRunsRequest{
		Statuses: options.Statuses, Workflow: options.Workflow, Tags: options.Tags, ParentRunId: options.ParentRunID,
		PageSize: uint32(max(0, options.PageSize)), PageToken: options.PageToken,
	})
	return response.GetRuns(), response.GetNextPageToken(), err
}

// Workflows returns the registered workflows, by name.
func (c *Client) Workflows(ctx context.Context) ([]*pb.Workflow, error) {
	response, err := call(ctx, c.platform, c.platform.workflows.ListWorkflows, &pb.ListWorkflowsRequest{})
	return response.GetWorkflows(), err
}

// Workers returns the workers that the server has seen recently, connected ones first.
func (c *Client) Workers(ctx context.Context) ([]*pb.Worker, error) {
	response, err := call(ctx, c.platform, c.platform.workers.ListWorkers, &pb.ListWorkersRequest{})
	return response.GetWorkers(), err
}

// WaitsOptions select the waits of a list. What is left out selects all.
type WaitsOptions struct {
	// Any of these; WAIT_KIND_USER are the questions.
	Kinds []pb.WaitKind
	// Questions that name this person or role, and those that anybody may answer.
	Assignee string
	// With Assignee: without the questions that name nobody.
	ExcludeUnassigned bool
	Workflow          string
	RunID             string
	// 1 to 500. Default: 50.
	PageSize int
	// The token that the previous page came with. Default: the first page.
	PageToken string
}

// Waits returns a page of open waits, oldest first, and the token of the next page: with WAIT_KIND_USER the open
// questions, with an Assignee the inbox of one person.
func (c *Client) Waits(ctx context.Context, options WaitsOptions) ([]*pb.Wait, string, error) {
	response, err := call(ctx, c.platform, c.platform.waits.ListWaits, &pb.ListWaitsRequest{
		Kinds: options.Kinds, Assignee: options.Assignee, IncludeUnassigned: options.Assignee != "" && !options.ExcludeUnassigned,
		Workflow: options.Workflow, RunId: options.RunID, PageSize: uint32(max(0, options.PageSize)), PageToken: options.PageToken,
	})
	return response.GetWaits(), response.GetNextPageToken(), err
}

// Wait returns a wait, open or resolved. It decodes the value that resolved the wait into payload, unless that is
// nil or there is no such value.
func (c *Client) Wait(ctx context.Context, waitID string, payload any) (*pb.Wait, error) {
	response, err := call(ctx, c.platform, c.platform.waits.GetWait, &pb.GetWaitRequest{WaitId: waitID})
	if err != nil || payload == nil || response.Payload == nil {
		return response.GetWait(), err
	}
	whole, err := c.platform.download(ctx, response.Payload)
	if err != nil {
		return nil, err
	}
	return response.Wait, decodeInto(whole, payload)
}

// AnswerOptions say who answers a wait, and why.
type AnswerOptions struct {
	// Required if the question has assignees or needs several approvals.
	Actor string
	// Shown in the run's history.
	Comment string
	// For deduplication: answering again with the same id is one answer. Default: a random id.
	ResolutionID string
}

// Answer answers a question with a string, a bool, the value of an option, a list of such values, or the fields of a
// form; it also resolves a callback manually. It returns the wait after the answer.
func (c *Client) Answer(ctx context.Context, waitID string, answer any, options AnswerOptions) (*pb.Wait, error) {
	payload, err := encode(answer, "the answer")
	if err != nil {
		return nil, err
	}
	if payload, err = c.platform.storable(ctx, payload); err != nil {
		return nil, err
	}
	return c.resolve(ctx, options, &pb.AnswerWaitRequest{WaitId: waitID, Response: &pb.AnswerWaitRequest_Answer{Answer: payload}})
}

// Skip declines to answer a question that is skippable.
func (c *Client) Skip(ctx context.Context, waitID string, options AnswerOptions) (*pb.Wait, error) {
	return c.resolve(ctx, options, &pb.AnswerWaitRequest{WaitId: waitID, Response: &pb.AnswerWaitRequest_Skip{Skip: true}})
}

func (c *Client) resolve(ctx context.Context, options AnswerOptions, request *pb.AnswerWaitRequest) (*pb.Wait, error) {
	request.Actor, request.Comment = options.Actor, options.Comment
	request.ResolutionId = orElse(options.ResolutionID, newUUIDv7())
	response, err := call(ctx, c.platform, c.platform.waits.AnswerWait, request)
	return response.GetWait(), err
}

// CancelWait cancels a wait: its run gets a WaitCancelledError. The options' ResolutionID has no meaning here.
func (c *Client) CancelWait(ctx context.Context, waitID string, options AnswerOptions) (*pb.Wait, error) {
	request := &pb.CancelWaitRequest{WaitId: waitID, Actor: options.Actor, Comment: options.Comment}
	response, err := call(ctx, c.platform, c.platform.waits.CancelWait, request)
	return response.GetWait(), err
}

// WaitLinkOptions say for whom a link is, and for how long.
type WaitLinkOptions struct {
	// Who will answer with the link; one of the question's assignees, if it has any.
	Assignee string
	// Default: 7 days; at most 365 days.
	ExpiresIn time.Duration
}

// CreateWaitLink creates a URL with which one person can answer a question once, without a key.
func (c *Client) CreateWaitLink(ctx context.Context, waitID string, options WaitLinkOptions) (*pb.CreateWaitLinkResponse, error) {
	request := &pb.CreateWaitLinkRequest{WaitId: waitID, Assignee: options.Assignee}
	if options.ExpiresIn > 0 {
		request.ExpiresIn = durationpb.New(options.ExpiresIn)
	}
	return call(ctx, c.platform, c.platform.waits.CreateWaitLink, request)
}
