// Package testserver starts the repository's own `pawl serve` for tests.
package testserver

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// Server is a server in a process of its own.
type Server struct {
	// Of the gRPC port, and of the HTTP port.
	URL, HTTP string
	store     string
	command   *exec.Cmd
	log       *tail
}

// Start starts a server with a new embedded store, on free ports; it ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{store: filepath.Join(t.TempDir(), "pawl.db")}
	t.Cleanup(func() {
		s.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the server's log ends with:\n%s", s.log)
		}
	})
	s.start(t, "127.0.0.1:0")
	return s
}

// Restart kills the server and starts another one on its store and port.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.end(syscall.SIGKILL)
	s.start(t, s.URL[len("http://"):])
}

// Root is the repository's folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}

// Command starts the repository's own `pawl`, for PAWL_COMMAND.
func Command() string {
	root := Root()
	return filepath.Join(root, "node_modules", ".bin", "node") + " " + filepath.Join(root, "server", "bin", "pawl.js")
}

func (s *Server) start(t testing.TB, grpc string) {
	t.Helper()
	root := Root()
	s.log = &tail{}
	s.command = exec.Command(
		filepath.Join(root, "node_modules", ".bin", "node"), filepath.Join(root, "server", "bin", "pawl.js"),
		"serve", "--store", s.store, "--migrate", "--json", "--grpc", grpc, "--http", "127.0.0.1:0")
	s.command.Dir = t.TempDir()
	s.command.Stderr = s.log
	// The server's own tools are found in the environment; its settings are not.
	for _, variable := range os.Environ() {
		if len(variable) < 5 || variable[:5] != "PAWL_" {
			s.command.Env = append(s.command.Env, variable)
		}
	}
	output, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatalf("the server could not be started (is `pnpm install` done?): %v", err)
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var ready struct{ Event, GrpcURL, HTTPURL string }
		if json.Unmarshal(lines.Bytes(), &ready) == nil && ready.Event == "ready" {
			s.URL, s.HTTP = ready.GrpcURL, ready.HTTPURL
			return
		}
	}
	t.Fatalf("the server did not start:\n%s", s.log)
}

func (s *Server) end(signal os.Signal) {
	// It may have ended already.
	_ = s.command.Process.Signal(signal)
	_ = s.command.Wait()
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
	return fmt.Sprintf("%s", l.text)
}
