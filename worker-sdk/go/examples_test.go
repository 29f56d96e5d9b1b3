package pawl_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pawl.dev/pawl/internal/testserver"
)

// The programs of examples/go do what their first lines say, also with a worker that is killed.

// program is a process whose output can be looked at while it runs.
type program struct {
	*exec.Cmd
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *program) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(data)
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func startProgram(t *testing.T, server *testserver.Server, binary string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(binary, args...)}
	p.Env = append(os.Environ(), "PAWL_URL="+server.URL)
	p.Stdout, p.Stderr = p, p
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(p.Cmd) })
	return p
}

func buildExamples(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	build := exec.Command("go", "build", "-o", folder+"/", "./...")
	build.Dir = filepath.Join(testserver.Root(), "examples", "go")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return folder
}

// ask runs a program to its end, again while no worker has made its workflow known yet.
func ask(t *testing.T, server *testserver.Server, binary string, args ...string) (output string) {
	t.Helper()
	waitFor(t, strings.Join(args, " "), func() bool {
		p := startProgram(t, server, binary, args...)
		// How it ended is in what it printed.
		_ = p.Wait()
		output = p.output()
		return !strings.Contains(output, "NOT_FOUND")
	})
	return output
}

func TestExamples(t *testing.T) {
	t.Parallel()
	server := testserver.Start(t)
	folder := buildExamples(t)

	order := filepath.Join(folder, "order")
	worker := startProgram(t, server, order, "worker")
	placed := make(chan string, 1)
	go func() { placed <- ask(t, server, order, "place", "4711", "chain", "gear") }()
	waitFor(t, "the card is charged", func() bool { return strings.Contains(worker.output(), "/charge") })
	kill(worker.Cmd)
	worker = startProgram(t, server, order, "worker")
	if got, want := <-placed, "order-4711-chain: payment for 4711-chain, parcel 4711-chain\n"; got != want {
		t.Errorf("the order came to %q", got)
	}
	if got := ask(t, server, order, "place", "stolen", "chain"); !strings.Contains(got, "the card stolen was declined") {
		t.Errorf("the order came to %q", got)
	}
	if got := worker.output(); !strings.Contains(got, "release chain") {
		t.Errorf("nothing was released: %q", got)
	}

	approval := filepath.Join(folder, "approval")
	desk := startProgram(t, server, approval, "worker")
	if got := ask(t, server, approval, "request", "bob", "40"); got != "40 paid, approved by the rules\n" {
		t.Errorf("a small expense came to %q", got)
	}
	asked := startProgram(t, server, approval, "request", "ann", "1200")
	waitFor(t, "the manager is asked", func() bool { return strings.Contains(desk.output(), "ann asks for 1200") })
	kill(desk.Cmd)
	startProgram(t, server, approval, "worker")
	ask(t, server, approval, "decide", "ann", "yes")
	if err := asked.Wait(); err != nil || asked.output() != "1200 paid, approved by the manager\n" {
		t.Errorf("the expense came to %q (%v)", asked.output(), err)
	}
}
