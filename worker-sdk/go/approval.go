package pawl

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	pb "pawl.dev/pawl/pawlv1"
)

// ApprovalRound is one round of Approve: a group of people, and how many of them must approve.
type ApprovalRound struct {
	// Shown, and what the round is called in keys. Default: the approvers, and in keys its place among
	// the rounds without a name, so that approvers may change while people decide.
	Name string
	// Who may approve, by name or role.
	Approvers []string
	// How many of the approvers must approve. 0 means 1.
	Needed uint32
}

func (r ApprovalRound) label() string { return orElse(r.Name, strings.Join(r.Approvers, ", ")) }

// RoundVote is a vote with the round that it was given in.
type RoundVote struct {
	Vote
	Round string
}

// ApprovalOutcome is how all rounds of Approve ended.
type ApprovalOutcome struct {
	Approved bool
	// All votes of all rounds, oldest first.
	Votes []RoundVote
	// The round that decided; empty where nobody had to be asked.
	Round string
	// Whether the Default decided, because the people did not in time.
	TimedOut bool
}

// Approve asks for approval in one or more rounds; each is a question to its approvers. A
// rejection ends it immediately. It accepts the options Key, Reminders, Timeout (of each
// round) and Default (true or false), which decides a round that was not decided in time;
// without a Default it returns a WaitTimeoutError.
func Approve(ctx context.Context, question string, rounds []ApprovalRound, options ...QuestionOption) (ApprovalOutcome, error) {
	var outcome ApprovalOutcome
	question, problem := questionText("Approve", question)
	settings := questionSettings{question: &pb.Question{}, err: problem}
	for _, option := range options {
		option.applyQuestion(&settings)
	}
	late, fits := fallbackOf[bool](&settings.waitSettings)
	p, inRun := enter(ctx)
	switch {
	case !inRun:
		settings.err = usage("Approve needs a run: it was called with a context that is in none")
	case !fits:
		settings.err = usage("the Default of Approve is true or false; it is a %T", settings.fallback)
	}
	if settings.err != nil {
		return outcome, settings.err
	}
	name := questionName(question)
	if settings.key != "" {
		name = "approval"
	}
	op, err := p.run.open(p.scope, spaceApproval, name, settings.key, pb.StepKind_STEP_KIND_UNSPECIFIED)
	if err != nil {
		return outcome, err
	}
	p.run.mu.Unlock()
	inner := p.scope.child(op.key[len(p.scope.prefix):])
	outcome.Approved = true
	for _, round := range rounds {
		if err = approveRound(ctx, p.run, inner, question, round, &settings, late, &outcome); err != nil || !outcome.Approved {
			break
		}
	}
	p.run.lockPresent()
	op.close()
	p.run.mu.Unlock()
	return outcome, err
}

func approveRound(ctx context.Context, r *run, s *scope, prompt string, round ApprovalRound, settings *questionSettings, late bool, outcome *ApprovalOutcome) error {
	call := &waitCall{
		space: spaceUser, name: questionName(orElse(round.Name, "round")), kind: pb.StepKind_STEP_KIND_USER,
		spec: &pb.WaitSpec{Question: &pb.Question{
			Prompt: prompt, Type: pb.QuestionType_QUESTION_TYPE_APPROVAL, Assignees: round.Approvers,
			ApprovalsNeeded: max(1, round.Needed), Reminders: settings.question.Reminders,
		}},
	}
	settings.limit(call.spec)
	end, err := r.await(ctx, s, call)
	if err != nil {
		return err
	}
	outcome.Round, outcome.TimedOut = round.label(), end.outcome == "timed_out"
	if outcome.TimedOut {
		outcome.Approved = late
		if !settings.hasDefault {
			return &WaitTimeoutError{What: fmt.Sprintf("the answer to %q", clip(prompt, 60)), StepKey: end.stepKey}
		}
		return nil
	}
	approval, err := approvalOf(end)
	outcome.Approved = approval.Approved
	for _, vote := range approval.Votes {
		outcome.Votes = append(outcome.Votes, RoundVote{vote, round.label()})
	}
	return err
}

// approvalOf is how one question for approval ended.
func approvalOf(end *resolution) (Approval, error) {
	var approval Approval
	err := decodeInto(end.payload, &approval.Approved)
	if err == nil && end.details["answers"] != "" {
		err = json.Unmarshal([]byte(end.details["answers"]), &approval.Votes)
	}
	return approval, err
}
