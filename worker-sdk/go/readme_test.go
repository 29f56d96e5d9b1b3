package pawl_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pawl.dev/pawl/internal/testserver"
)

// The programs of README.md print what it says that they print.
func TestReadme(t *testing.T) {
	t.Parallel()
	server := testserver.Start(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := regexp.MustCompile("(?s)```go\n// (\\w+)\\.go\n(.*?)```\n\n```text\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(programs) != 3 {
		t.Fatalf("README.md has %d programs", len(programs))
	}
	for _, program := range programs {
		name, code, want := program[1], program[2], program[3]
		// Within this module, which is found without a network.
		folder, err := os.MkdirTemp(".", "readme-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(folder)
		file := filepath.Join(folder, name+".go")
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		command := exec.Command("go", "run", "./"+file)
		command.Env = append(os.Environ(), "PAWL_URL="+server.URL)
		var complaints strings.Builder
		command.Stderr = &complaints
		output, err := command.Output()
		if err != nil || string(output) != want {
			t.Errorf("%s printed %q (%v), not %q\n%s", name, output, err, want, &complaints)
		}
	}
}

// The tests of README.md pass.
func TestReadmeTests(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := regexp.MustCompile("(?s)```go\n// (\\w+_test)\\.go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(tests) != 1 {
		t.Fatalf("README.md has %d files of tests", len(tests))
	}
	folder, err := os.MkdirTemp(".", "readme-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	if err := os.WriteFile(filepath.Join(folder, tests[0][1]+".go"), []byte(tests[0][2]), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "test", "./"+folder)
	command.Env = append(os.Environ(), "PAWL_COMMAND="+testserver.Command())
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
