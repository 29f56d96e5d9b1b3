package pawl_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// Workers that are killed. The test's own program is the worker: started with
// PAWL_TEST_WORKER it serves these workflows until it is killed. A step's effect
// is a line in a file, so that what ran twice is seen.

type drill struct {
	File  string
	Steps int
	Pause int
}

func effect(file, line string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, line)
	return err
}

var crashing = pawl.NewWorkflow("crashing", func(ctx context.Context, in drill) (string, error) {
	step := func(ctx context.Context, name string) (string, error) {
		return pawl.Step(ctx, name, func(context.Context) (string, error) {
			time.Sleep(time.Duration(in.Pause) * time.Millisecond)
			return name, effect(in.File, name)
		})
	}
	var done []string
	for n := range in.Steps {
		name, err := step(ctx, fmt.Sprint("step-", n))
		if err != nil {
			return "", err
		}
		done = append(done, name)
	}
	names, err := pawl.Map(ctx, "side", []string{"a", "b", "c"}, func(ctx context.Context, side string) (string, error) {
		for range 3 {
			if _, err := step(ctx, side); err != nil {
				return "", err
			}
		}
		return side, nil
	}, pawl.ItemKey(func(side string) string { return side }))
	return strings.Join(append(done, names...), " "), err
})

func TestMain(m *testing.M) {
	slog.SetLogLoggerLevel(slog.LevelWarn)
	if os.Getenv("PAWL_TEST_WORKER") == "" {
		os.Exit(m.Run())
	}
	worker, err := pawl.NewWorker(pawl.WorkerOptions{Workflows: []pawl.AnyWorkflow{crashing, standing}})
	if err == nil {
		err = worker.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func (l *lab) spawnWorker() *exec.Cmd {
	l.t.Helper()
	program, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), "PAWL_TEST_WORKER=1", "PAWL_URL="+l.server.URL)
	if err := command.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { kill(command) })
	return command
}

func kill(command *exec.Cmd) {
	// It may have ended already.
	_ = command.Process.Kill()
	_ = command.Wait()
}

func effects(t *testing.T, file string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, line := range strings.Fields(string(text)) {
		counts[line]++
	}
	return counts
}

func TestKilledWorkersRepeatOnlyWhatWasInFlight(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	in := drill{File: filepath.Join(t.TempDir(), "effects"), Steps: 12, Pause: 30}
	worker := l.spawnWorker()
	var run *pawl.RunHandle[string]
	waitFor(t, "the server knows the workflow", func() (started bool) {
		var err error
		run, err = pawl.Start(ctx, l.client, crashing, in)
		return err == nil
	})
	const kills = 4
	for n := range kills {
		goal := (n + 1) * 3
		waitFor(t, fmt.Sprint(goal, " effects"), func() bool { return len(effects(t, in.File)) >= goal })
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		kill(worker)
		worker = l.spawnWorker()
	}
	got := must[string](t)(run.Result(ctx))
	if want := "step-0 step-1 step-2 step-3 step-4 step-5 step-6 step-7 step-8 step-9 step-10 step-11 a b c"; got != want {
		t.Errorf("the result is %q", got)
	}
	repeated := 0
	for name, count := range effects(t, in.File) {
		expected := 1
		if len(name) == 1 {
			expected = 3
		}
		repeated += count - expected
	}
	// Each kill may catch one step in flight, and three once the branches run.
	if repeated < 0 || repeated > 3*kills {
		t.Errorf("%d effects were repeated by %d kills", repeated, kills)
	}
	journal := must[[]*pb.JournalEntry](t)(run.Journal(ctx))
	if keys := keysOf(journal, "workflow.step.completed"); len(keys) != 21 {
		t.Errorf("%d steps are recorded: %q", len(keys), keys)
	}
}

func TestServerKilledUnderAWorker(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	in := drill{File: filepath.Join(t.TempDir(), "effects"), Steps: 15, Pause: 30}
	l.serve(crashing)
	run := must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, crashing, in))
	for n := range 2 {
		waitFor(t, "some effects", func() bool { return len(effects(t, in.File)) >= 4*(n+1) })
		l.server.Restart(t)
	}
	must[string](t)(run.Result(ctx))
	for name, count := range effects(t, in.File) {
		// The worker kept its leases, and sent again what was not answered.
		if len(name) > 1 && count != 1 {
			t.Errorf("%s took effect %d times", name, count)
		}
	}
}

func TestExecuteContinuesAfterACrash(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	calls := map[string]int{}
	crash := true
	first, giveUp := context.WithCancel(ctx)
	flow := pawl.NewWorkflow("script", func(ctx context.Context, in int) (int, error) {
		if _, err := pawl.Step(ctx, "one", func(context.Context) (int, error) { calls["one"]++; return 1, nil }); err != nil {
			return 0, err
		}
		if err := pawl.Sleep(ctx, 20*time.Millisecond); err != nil {
			return 0, err
		}
		return pawl.Step(ctx, "two", func(ctx context.Context) (int, error) {
			calls["two"]++
			if crash {
				giveUp()
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}
			return in + 1, nil
		})
	})
	if _, err := pawl.Execute(first, l.client, flow, 41, pawl.RunID("script-1")); err == nil {
		t.Fatal("the first execution was to be given up")
	}
	crash = false
	for range 2 {
		got := must[int](t)(pawl.Execute(ctx, l.client, flow, 41, pawl.RunID("script-1"), pawl.LeaseWait(30*time.Second)))
		if got != 42 || calls["one"] != 1 || calls["two"] != 2 {
			t.Errorf("the result is %d after the calls %v", got, calls)
		}
	}
}

func TestStreamIsLiveAndRecorded(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	watched := make(chan struct{})
	flow := pawl.NewWorkflow("streaming", func(ctx context.Context, in pawl.Void) (string, error) {
		return pawl.Stream(ctx, "write", func(ctx context.Context) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				if !yield("Dear ", nil) {
					return
				}
				// Ends only once a watcher has seen the first part, so it is live.
				<-watched
				yield("Ada", nil)
			}
		})
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, flow, pawl.Void{}))
	var parts []string
	last := ""
	for event, err := range run.Watch(ctx, pawl.WatchOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		last = event.Type
		if event.Type == "output.delta" {
			var part string
			if err := pawl.DecodeEvent(event, &part); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, part)
			if len(parts) == 1 {
				close(watched)
			}
		}
	}
	if strings.Join(parts, "|") != "Dear |Ada" || last != "run.completed" {
		t.Errorf("watched %q, and %s last", parts, last)
	}
	if got := must[string](t)(run.Result(ctx)); got != "Dear Ada" {
		t.Errorf("the result is %q", got)
	}
}
