package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pawl.dev/pawl"
)

func milliseconds(value any) time.Duration {
	number, _ := value.(float64)
	return time.Duration(number * float64(time.Millisecond))
}

func waitOptions(op operation, s scope) []pawl.WaitOption {
	var options []pawl.WaitOption
	if _, has := op["timeoutMs"]; has {
		options = append(options, pawl.Timeout(milliseconds(op["timeoutMs"])))
	}
	if value, has := op["default"]; has {
		options = append(options, pawl.Default(s.evaluate(value)))
	}
	return options
}

func retryOf(spec operation) pawl.Retry {
	retry := pawl.Retry{MaxAttempts: 1, PauseWhenExhausted: spec["onExhausted"] == "pause"}
	if attempts, has := spec["maxAttempts"].(float64); has {
		retry.MaxAttempts = int(attempts)
	}
	first := milliseconds(orElse(spec["initialMs"], float64(10)))
	switch spec["backoff"] {
	case "exponential":
		most := time.Minute
		if _, has := spec["maxMs"]; has {
			most = milliseconds(spec["maxMs"])
		}
		base, has := spec["coefficient"].(float64)
		if !has {
			base = 2
		}
		retry.Backoff = pawl.ExponentialFrom(first, base, most)
	case "linear":
		retry.Backoff = pawl.Linear(first, milliseconds(spec["incrementMs"]))
	default:
		retry.Backoff = pawl.Constant(first)
	}
	types, _ := spec["nonRetryableTypes"].([]any)
	for _, name := range types {
		retry.NonRetryable = append(retry.NonRetryable, name.(string))
	}
	return retry
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
	var choices []string
	list, _ := op["options"].([]any)
	for _, choice := range list {
		choices = append(choices, choice.(string))
	}
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
