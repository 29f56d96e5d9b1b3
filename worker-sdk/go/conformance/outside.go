package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pawl.dev/pawl"
)

// Operations whose result comes from outside: from people, callers, and the clock.

func texts(list any) []string {
	items, _ := list.([]any)
	var all []string
	for _, item := range items {
		all = append(all, item.(string))
	}
	return all
}

// ask asks a person, by the type of the question. A skipped one is nil.
func (i interpreter) ask(ctx context.Context, op operation, s scope) (any, error) {
	question := op["question"].(string)
	var options []pawl.QuestionOption
	if key, has := op["key"]; has {
		options = append(options, pawl.Key(fmt.Sprint(s.evaluate(key))))
	}
	if op["skippable"] == true {
		options = append(options, pawl.Skippable())
	}
	if _, has := op["timeoutMs"]; has {
		options = append(options, pawl.Timeout(milliseconds(op["timeoutMs"])))
	}
	if names := texts(op["assignees"]); len(names) > 0 {
		options = append(options, pawl.Assignees(names...))
	}
	if needed, has := op["needed"].(float64); has {
		options = append(options, pawl.Approvals(uint32(needed)))
	}
	choices := texts(op["options"])
	if op["type"] == "approval" {
		approval, err := pawl.WaitForUser[pawl.Approval](ctx, question, options...)
		if err != nil {
			return nil, notSkipped(err)
		}
		return approval.Approved, nil
	}
	switch op["type"] {
	case "choice":
		options = append(options, pawl.Choice(choices...))
	case "multichoice":
		options = append(options, pawl.MultiChoice(choices...))
	case "form":
		schema, err := json.Marshal(op["schema"])
		if err != nil {
			return nil, err
		}
		options = append(options, pawl.Form(string(schema)))
	}
	if value, has := op["default"]; has {
		options = append(options, pawl.Default(s.evaluate(value)))
	}
	answer, err := pawl.WaitForUser[any](ctx, question, options...)
	return answer, notSkipped(err)
}

func notSkipped(err error) error {
	if errors.Is(err, pawl.ErrSkipped) {
		return nil
	}
	return err
}

func (i interpreter) approve(ctx context.Context, op operation, s scope) (any, error) {
	var options []pawl.QuestionOption
	if key, has := op["key"].(string); has {
		options = append(options, pawl.Key(key))
	}
	if _, has := op["timeoutMs"]; has {
		options = append(options, pawl.Timeout(milliseconds(op["timeoutMs"])))
	}
	if late, has := op["default"]; has {
		options = append(options, pawl.Default(late == "approved"))
	}
	var rounds []pawl.ApprovalRound
	for _, round := range blockOf(op["chain"]) {
		name, _ := round["name"].(string)
		needed, _ := round["needed"].(float64)
		rounds = append(rounds, pawl.ApprovalRound{Name: name, Approvers: texts(round["approvers"]), Needed: uint32(needed)})
	}
	outcome, err := pawl.Approve(ctx, op["question"].(string), rounds, options...)
	if err != nil {
		return nil, err
	}
	votes := []any{}
	for _, vote := range outcome.Votes {
		votes = append(votes, []any{vote.Round, vote.Actor, vote.Approved})
	}
	return operation{"approved": outcome.Approved, "round": outcome.Round, "timedOut": outcome.TimedOut, "votes": votes}, nil
}

// callback notes the URL for the runner.
func (i interpreter) callback(ctx context.Context, op operation, s scope) (any, error) {
	var options []pawl.CallbackOption
	if key, has := op["key"].(string); has {
		options = append(options, pawl.Key(key))
	}
	if _, has := op["timeoutMs"]; has {
		options = append(options, pawl.Timeout(milliseconds(op["timeoutMs"])))
	}
	if value, has := op["default"]; has {
		options = append(options, pawl.Default(s.evaluate(value)))
	}
	name := op["name"].(string)
	callback, err := pawl.OpenCallback[any](ctx, name, options...)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(i.folder, pawl.CurrentRun(ctx).RunID+".callback."+name)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.WriteString(callback.URL + "\n")
	return callback, errors.Join(err, file.Close())
}

func (i interpreter) signals(ctx context.Context, op operation, s scope) error {
	taken := 0
	for item, err := range pawl.Signals[any](ctx, op["name"].(string)) {
		if err != nil {
			return err
		}
		within := s
		within.item = item
		if _, _, err := i.block(ctx, blockOf(op["do"]), within); err != nil {
			return err
		}
		if taken++; taken == int(op["times"].(float64)) {
			return nil
		}
	}
	return nil
}

func sleepUntil(ctx context.Context, op operation) error {
	zone, _ := op["timeZone"].(string)
	location, err := time.LoadLocation(zone)
	if err != nil {
		return err
	}
	if name, has := op["name"].(string); has {
		return pawl.SleepCron(ctx, op["cron"].(string), location, pawl.Name(name))
	}
	return pawl.SleepCron(ctx, op["cron"].(string), location)
}
