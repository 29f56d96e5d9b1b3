// Package pawltest helps to test programs that use Pawl: a real server for the time of a test, workers, injected
// crashes, and a fake server that needs no process.
//
// For tests of a workflow alone, pawl.RunLocally needs neither.
package pawltest

import (
	"bufio"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pawl.dev/pawl"
)

// Server is a real server in a process of its own, with an empty store. It ends with the test.
type Server struct {
	// The addresses of the gRPC port, which workers and clients use, and of the HTTP port.
	URL, HTTP string
	// A client of the server.
	Client *pawl.Client

	t       testing.TB
	store   string
	command *exec.Cmd
	log     *tail
}

// StartServer starts a server on free ports. It executes the command `pawl`, or that in the environment variable
// PAWL_COMMAND, such as `node /srv/pawl/server/bin/pawl.js`. If the test fails, the end of the server's log is shown.
func StartServer(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, store: filepath.Join(t.TempDir(), "pawl.db")}
	t.Cleanup(func() {
		s.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the server's log ends with:\n%s", s.log)
		}
	})
	s.start("127.0.0.1:0")
	client, err := pawl.NewClient(pawl.ClientOptions{URL: s.URL, RetryFor: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s.Client = client
	return s
}

// Restart kills the server without a warning (SIGKILL), and starts another one with the same store and gRPC port.
func (s *Server) Restart() {
	s.t.Helper()
	s.end(syscall.SIGKILL)
	s.start(strings.TrimPrefix(s.URL, "http://"))
}

func (s *Server) start(address string) {
	s.t.Helper()
	words := strings.Fields(os.Getenv("PAWL_COMMAND"))
	if len(words) == 0 {
		words = []string{"pawl"}
	}
	s.log = &tail{}
	arguments := append(slices.Clone(words[1:]), "serve", "--store", s.store, "--migrate", "--json", "--grpc", address, "--http", "127.0.0.1:0")
	s.command = exec.Command(words[0], arguments...)
	s.command.Dir, s.command.Stderr = s.t.TempDir(), s.log
	// The settings of the developer's own server are not the test's.
	s.command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "PAWL_") })
	output, err := s.command.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		s.t.Fatalf("the server could not be started: %v; install Pawl, or set PAWL_COMMAND to the command that starts it", err)
	}
	for lines := bufio.NewScanner(output); lines.Scan(); {
		var ready struct{ Event, GrpcURL, HTTPURL string }
		if json.Unmarshal(lines.Bytes(), &ready) == nil && ready.Event == "ready" {
			s.URL, s.HTTP = ready.GrpcURL, ready.HTTPURL
			return
		}
	}
	s.t.Fatalf("the server did not start:\n%s", s.log)
}

func (s *Server) end(signal os.Signal) {
	if s.command == nil || s.command.Process == nil {
		return
	}
	// It may have ended already.
	_ = s.command.Process.Signal(signal)
	_ = s.command.Wait()
}

// Serve runs a worker that is ready when Serve returns, until the returned function is called or the test ends.
func (s *Server) Serve(workflows ...pawl.AnyWorkflow) (stop func()) {
	s.t.Helper()
	return s.ServeWith(pawl.WorkerOptions{Workflows: workflows})
}

// ServeWith is Serve for a worker with options. The URL is the server's; the default of DrainTimeout is 200 ms.
func (s *Server) ServeWith(options pawl.WorkerOptions) (stop func()) {
	s.t.Helper()
	options.URL = s.URL
	return s.work(options)
}

func (s *Server) work(options pawl.WorkerOptions) (stop func()) {
	s.t.Helper()
	if options.DrainTimeout == 0 {
		options.DrainTimeout = 200 * time.Millisecond
	}
	worker, err := pawl.NewWorker(options)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	select {
	case <-worker.Ready():
	case err := <-done:
		cancel()
		s.t.Fatalf("the worker ended: %v", err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the worker ended with %v", err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// CrashAt runs a worker that dies when the first attempt of a step begins, before its body: the server does not hear
// of it again, as after a SIGKILL, and nothing that the worker does then is recorded. The channel is closed when it has
// died. Serve continues its runs; what was recorded before is not executed again.
//
//	died := server.CrashAt("charge", order)
//	run, err := pawl.Start(ctx, server.Client, order, in)
//	<-died
//	server.Serve(order)
//	receipt, err := run.Result(ctx)
func (s *Server) CrashAt(step string, workflows ...pawl.AnyWorkflow) (died <-chan struct{}) {
	s.t.Helper()
	address, err := url.Parse(s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	line := openLine(s.t, address.Host)
	dead, ended := make(chan struct{}), make(chan struct{})
	die := sync.OnceFunc(func() {
		line.cut()
		close(dead)
	})
	stop := s.work(pawl.WorkerOptions{
		URL: line.url(), Workflows: workflows, DrainTimeout: time.Millisecond,
		TraceStep: func(ctx context.Context, each pawl.TracedStep) (context.Context, func(pawl.StepEnd)) {
			if each.Name == step {
				die()
			}
			select {
			case <-dead:
				// The code of a dead worker does not continue.
				<-ended
				runtime.Goexit()
			default:
			}
			return ctx, func(pawl.StepEnd) {}
		},
	})
	go func() {
		<-dead
		stop()
		close(ended)
	}()
	s.t.Cleanup(func() { die(); <-ended })
	return dead
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	l.text = l.text[max(0, len(l.text)-16_384):]
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
