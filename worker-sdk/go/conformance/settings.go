package main

import (
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
	retry := pawl.Retry{MaxAttempts: 1}
	if spec["onExhausted"] == "pause" {
		retry.OnExhausted = pawl.PauseRun
	}
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

func stepOptions(op operation, s scope) []pawl.StepOption {
	var options []pawl.StepOption
	if key, has := op["key"]; has {
		options = append(options, pawl.Key(fmt.Sprint(s.evaluate(key))))
	}
	if retry, has := op["retry"].(operation); has {
		options = append(options, retryOf(retry))
	}
	if _, has := op["timeoutMs"]; has {
		options = append(options, pawl.Timeout(milliseconds(op["timeoutMs"])))
	}
	if op["atMostOnce"] == true {
		options = append(options, pawl.AtMostOnce())
	}
	if version, has := op["version"].(string); has {
		options = append(options, pawl.Version(version))
	}
	return options
}
