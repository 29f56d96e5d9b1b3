package pawl

import (
	"context"
	"fmt"
)

// Emit sends live output, which is not recorded, to watchers of the run. It never waits for the server. Outside of a
// run it does nothing. It accepts at most one set of options.
func Emit(ctx context.Context, eventType string, data any, options ...EmitOptions) error {
	if err := checkName("an event type", eventType); err != nil {
		return err
	}
	var chosen EmitOptions
	if len(options) > 1 {
		return usage("Emit(%q) has more than one set of options", eventType)
	} else if len(options) == 1 {
		chosen = options[0]
	}
	return publish(ctx, eventType, data, chosen)
}

// Progress is Emit of how much is done; a total of 0 is unknown.
func Progress(ctx context.Context, done, total int, note string) error {
	return publish(ctx, "progress", struct {
		Done  int    `json:"done"`
		Total int    `json:"total,omitempty"`
		Note  string `json:"note,omitempty"`
	}{done, total, note}, EmitOptions{})
}

// Log is Emit of a log line of the run, which is kept as long as its journal. The level is debug, info, warn or error.
func Log(ctx context.Context, level, message string, data any) error {
	switch level {
	case "debug", "info", "warn", "error":
	default:
		return usage("the level of Log is %q; it is debug, info, warn or error", level)
	}
	return publish(ctx, "log", struct {
		Level   string `json:"level"`
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{level, message, data}, EmitOptions{Keep: Durable})
}

// Span groups what fn emits, and what its branches emit: it sends an event `TYPE.started` with the data before and
// `TYPE.completed` after it. Outside of a run it only calls fn.
func Span[T any](ctx context.Context, eventType string, data any, fn func(ctx context.Context) (T, error)) (T, error) {
	inner, err := openSpan(ctx, eventType, data)
	if err != nil {
		var none T
		return none, err
	}
	// Also after a panic, and where the run leaves.
	defer func() { _ = publish(inner, eventType+".completed", nil, EmitOptions{}) }()
	return fn(inner)
}

// openSpan sends the beginning of a span, and returns the context within it.
func openSpan(ctx context.Context, eventType string, data any) (context.Context, error) {
	if err := checkName("an event type", eventType); err != nil {
		return nil, err
	}
	p, inRun := placeOf(ctx)
	if !inRun {
		return ctx, nil
	}
	id := p.run.id + "/span-" + newUUIDv7()
	if err := publish(ctx, eventType+".started", data, EmitOptions{ID: id}); err != nil {
		return nil, err
	}
	within := *p
	within.span = id
	return withPlace(ctx, &within), nil
}

type agentName struct {
	Name string `json:"name"`
}

type agentOutput[T any] struct {
	Name   string `json:"name"`
	Output T      `json:"output"`
}

type agentError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

type agentFailure struct {
	Name  string     `json:"name"`
	Error agentError `json:"error"`
}

// Agent runs code that reports itself: it sends an event `agent.started`, and in the end `agent.completed` with the
// output or `agent.failed`. What fn emits in between is below the agent, also if several agents run concurrently or
// call one another. Nothing is recorded: call it in a step, or have the agent use steps.
func Agent[T any](ctx context.Context, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	var none T
	if err := checkName("an agent", name); err != nil {
		return none, err
	}
	inner, err := openSpan(ctx, "agent", agentName{name})
	if err != nil {
		return none, err
	}
	output, err := fn(inner)
	if err != nil {
		failure := agentFailure{name, agentError{orElse(errorType(err), "Error"), textOf(err)}}
		if problem := publish(inner, "agent.failed", failure, EmitOptions{}); problem != nil {
			return none, fmt.Errorf("%w (and its failure could not be sent: %v)", err, problem)
		}
		return none, err
	}
	return output, publish(inner, "agent.completed", agentOutput[T]{name, output}, EmitOptions{})
}
