package pawl

import (
	"context"
	"math/rand/v2"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

func value[T any](ctx context.Context, name string, fn func() T) (T, error) {
	return step(ctx, &stepCall{name: name, kind: pb.StepKind_STEP_KIND_VALUE}, func(context.Context) (T, error) { return fn(), nil }, nil)
}

// Now returns the time, with a precision of milliseconds. It is recorded, so it is the same in every replay.
func Now(ctx context.Context) (time.Time, error) {
	ms, err := value(ctx, "now", func() int64 { return time.Now().UnixMilli() })
	return time.UnixMilli(ms), err
}

// Random returns a random number of at least 0 and below 1. It is recorded.
func Random(ctx context.Context) (float64, error) { return value(ctx, "random", rand.Float64) }

// UUID returns a random UUID. It is recorded.
func UUID(ctx context.Context) (string, error) { return value(ctx, "uuid", newUUID) }
