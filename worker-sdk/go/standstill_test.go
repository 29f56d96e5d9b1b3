package pawl_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"pawl.dev/pawl"
)

// standstill stops the process at the first use of the context by the execution of a step: the step has
// been allowed to begin by then, and its body has not begun.
type standstill struct {
	context.Context
	// Created by the process that stands still; there is one only.
	mark string
}

func (s standstill) Value(key any) any {
	if isExecuting() {
		if mark, err := os.OpenFile(s.mark, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			_ = mark.Close()
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			// The signal comes in its own time; other threads continue until then.
			time.Sleep(100 * time.Millisecond)
		}
	}
	return s.Context.Value(key)
}

// isExecuting says whether the SDK is about to run the body of a step.
func isExecuting() bool {
	callers := make([]uintptr, 16)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if strings.HasSuffix(frame.Function, "(*stepOperation).execute") {
			return true
		}
	}
	return false
}

var standing = pawl.NewWorkflow("standing", func(ctx context.Context, folder string) (string, error) {
	return pawl.Step(standstill{ctx, filepath.Join(folder, "mark")}, "once", func(context.Context) (string, error) {
		return "done", effect(filepath.Join(folder, "effects"), "once")
	})
})

// A process stands still between the permission to begin a step and its body, and another worker does the
// step meanwhile.
func TestNoBodyBeginsAfterAStandstill(t *testing.T) {
	l := newLab(t)
	folder := t.TempDir()
	worker := l.spawnWorker()
	var run *pawl.RunHandle[string]
	waitFor(t, "the server knows the workflow", func() (started bool) {
		var err error
		run, err = pawl.Start(l.context(), l.client, standing, folder)
		return err == nil
	})
	waitFor(t, "the worker stands still", func() bool {
		_, err := os.Stat(filepath.Join(folder, "mark"))
		return err == nil
	})
	// Otherwise it would keep the run until its lease ends.
	l.server.Restart(t)
	l.serve(standing)
	must[string](t)(run.Result(l.context()))
	if err := worker.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	if got := effects(t, filepath.Join(folder, "effects"))["once"]; got != 1 {
		t.Errorf("the step was executed %d times", got)
	}
}
