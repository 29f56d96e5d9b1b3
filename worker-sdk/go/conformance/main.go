// Command conformance is the harness of the Go SDK; see test/conformance/README.md.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"pawl.dev/pawl"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	// Not a number where it is not set: the first deploy.
	deploy, _ := strconv.Atoi(os.Getenv("CONFORMANCE_DEPLOY"))
	env := environment{folder: os.Getenv("CONFORMANCE_DIR"), queue: os.Getenv("PAWL_QUEUE"), deploy: deploy}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	worker, err := pawl.NewWorker(pawl.WorkerOptions{
		Queues: []string{env.queue}, WorkerID: os.Getenv("PAWL_WORKER_ID"), Slots: 64,
		Poll: os.Getenv("CONFORMANCE_MODE") == "poll",
		Workflows: []pawl.AnyWorkflow{
			pawl.NewWorkflow("conformance", env.run),
			pawl.NewWorkflow("conformance-go", env.run),
		},
	})
	if err != nil {
		return err
	}
	go endWithParent(os.Getppid())
	go func() {
		select {
		case <-worker.Ready():
			fmt.Println("ready")
		case <-ctx.Done():
		}
	}()
	return worker.Run(ctx)
}

// endWithParent ends this process with the test process, which cannot do that itself once it was killed.
func endWithParent(parent int) {
	for os.Getppid() == parent {
		time.Sleep(500 * time.Millisecond)
	}
	os.Exit(1)
}
