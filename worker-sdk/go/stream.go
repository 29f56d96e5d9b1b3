package pawl

import (
	"context"
	"iter"
	"strings"
	"unicode/utf8"
)

// Stream is Step for a body that yields strings. Watchers of the run see each one live;
// the result is the joined string.
func Stream(ctx context.Context, name string, fn func(ctx context.Context) iter.Seq2[string, error], options ...StepOption) (string, error) {
	return Step(ctx, name, func(ctx context.Context) (string, error) {
		var text strings.Builder
		// What is said live is the same text: a character that is yielded in pieces is said whole.
		rest := ""
		for part, err := range fn(ctx) {
			if err != nil {
				return "", err
			}
			text.WriteString(part)
			rest += part
			whole := len(rest) - incomplete(rest)
			if whole == 0 && part != "" {
				continue
			}
			if err := published(ctx, rest[:whole]); err != nil {
				return "", err
			}
			rest = rest[whole:]
		}
		if rest != "" {
			return text.String(), published(ctx, rest)
		}
		return text.String(), nil
	}, options...)
}

// incomplete is how many bytes at the end of a text are the beginning of a character.
func incomplete(text string) int {
	for size := 1; size < utf8.UTFMax && size <= len(text); size++ {
		if at := text[len(text)-size:]; utf8.RuneStart(at[0]) {
			if utf8.FullRuneInString(at) {
				return 0
			}
			return size
		}
	}
	return 0
}

// published sends what a step has yielded, unless the step is over.
func published[T any](ctx context.Context, item T) error {
	if err := publish(ctx, "output.delta", item, EmitOptions{Keep: keepOf(ctx)}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Collect is Step for a body that yields items. Watchers of the run see each one live; the
// result is the list of them.
func Collect[T any](ctx context.Context, name string, fn func(ctx context.Context) iter.Seq2[T, error], options ...StepOption) ([]T, error) {
	return Step(ctx, name, func(ctx context.Context) ([]T, error) {
		items := []T{}
		err := consume(ctx, fn(ctx), func(item T) { items = append(items, item) })
		return items, err
	}, options...)
}

// Last is Collect with the last item as the result; the zero value if there is none.
func Last[T any](ctx context.Context, name string, fn func(ctx context.Context) iter.Seq2[T, error], options ...StepOption) (T, error) {
	return Step(ctx, name, func(ctx context.Context) (T, error) {
		var last T
		err := consume(ctx, fn(ctx), func(item T) { last = item })
		return last, err
	}, options...)
}

func consume[T any](ctx context.Context, items iter.Seq2[T, error], take func(T)) error {
	for item, err := range items {
		if err != nil {
			return err
		}
		take(item)
		if err := published(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

// keepOf is the Keep of the step that the context is in.
func keepOf(ctx context.Context) Keep {
	if p, inRun := placeOf(ctx); inRun && p.body != nil {
		return p.body.step.call.settings.keep
	}
	return ""
}
