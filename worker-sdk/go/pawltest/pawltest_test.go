package pawltest_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"pawl.dev/pawl"
	"pawl.dev/pawl/internal/testserver"
	"pawl.dev/pawl/pawltest"
)

func TestMain(m *testing.M) {
	if err := os.Setenv("PAWL_COMMAND", testserver.Command()); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestARunSurvivesACrashAndARestart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	server := pawltest.StartServer(t)
	var reserved, charged atomic.Int32
	order := pawl.NewWorkflow("order", func(ctx context.Context, item string) (string, error) {
		if err := pawl.Do(ctx, "reserve", func(context.Context) error { reserved.Add(1); return nil }); err != nil {
			return "", err
		}
		if err := pawl.Do(ctx, "charge", func(context.Context) error { charged.Add(1); return nil }); err != nil {
			return "", err
		}
		return pawl.Signal[string](ctx, "shipped")
	})
	died := server.CrashAt("charge", order)
	run, err := pawl.Start(ctx, server.Client, order, "book")
	if err != nil {
		t.Fatal(err)
	}
	<-died
	if charged.Load() != 0 {
		t.Error("the worker that died has charged")
	}
	server.Serve(order)
	server.Restart()
	if err := run.Signal(ctx, "shipped", "today"); err != nil {
		t.Fatal(err)
	}
	got, err := run.Result(ctx)
	if err != nil || got != "today" || reserved.Load() != 1 || charged.Load() != 1 {
		t.Errorf("reserved %d times, charged %d times: %q, %v", reserved.Load(), charged.Load(), got, err)
	}
}

func TestAFakeClient(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	fake := pawltest.NewFake(t)
	fake.Result("price", 12)
	fake.Failure("ship", "NoStock", "nothing is left")
	if got, err := pawl.RunNamed[int](ctx, fake.Client, "price", "book"); err != nil || got != 12 {
		t.Errorf("got %d, %v", got, err)
	}
	run, err := pawl.StartNamed[int](ctx, fake.Client, "ship", "book", pawl.RunID("ship-1"))
	if err != nil {
		t.Fatal(err)
	}
	var failed *pawl.RunFailedError
	if _, err := run.Result(ctx); !errors.As(err, &failed) || failed.Type != "NoStock" {
		t.Errorf("the outcome is %v", err)
	}
	if err := errors.Join(run.Signal(ctx, "hurry", true), run.Cancel(ctx, "not wanted")); err != nil {
		t.Fatal(err)
	}
	if len(fake.Starts()) != 2 || fake.Starts()[1].RunId != "ship-1" || fake.Signals()[0].Name != "hurry" || fake.Cancelled()[0] != "ship-1" {
		t.Errorf("noted %v, %v, %v", fake.Starts(), fake.Signals(), fake.Cancelled())
	}
	if _, err := pawl.Handle[int](fake.Client, "unknown").Get(ctx); !errors.Is(err, pawl.NotFound) {
		t.Errorf("an unknown run: %v", err)
	}
}
