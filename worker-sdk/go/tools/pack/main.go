// The command pack writes the module of the Go SDK, as Git knows its files, into a folder that go can use
// as a proxy: GOPROXY=file://FOLDER.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// A file of the module, which need not be where it is on the disk.
type file struct{ name, from string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.from) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.from) }

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: pack SOURCES VERSION FOLDER")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pack(sources, version, folder string) error {
	manifest, err := os.ReadFile(filepath.Join(sources, "go.mod"))
	if err != nil {
		return err
	}
	files, err := filesOf(sources)
	if err != nil {
		return err
	}
	it := module.Version{Path: modfile.ModulePath(manifest), Version: version}
	var archive bytes.Buffer
	if err := zip.Create(&archive, it, files); err != nil {
		return err
	}
	info := fmt.Sprintf("{\"Version\":%q,\"Time\":%q}\n", version, time.Now().UTC().Format(time.RFC3339))
	into := filepath.Join(folder, filepath.FromSlash(it.Path), "@v")
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"list":            []byte(version + "\n"),
		version + ".info": []byte(info),
		version + ".mod":  manifest,
		version + ".zip":  archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(into, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// filesOf lists what Git knows of the module. The license of the repository belongs to it, too, as go itself does it
// when it gets a module from a folder of a repository.
func filesOf(sources string) ([]zip.File, error) {
	list := exec.Command("git", "ls-files", "-z")
	list.Dir = sources
	names, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	files := []zip.File{file{"LICENSE", filepath.Join(sources, "..", "..", "LICENSE")}}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		// A module of its own.
		if !strings.HasPrefix(name, "tools/") {
			files = append(files, file{name, filepath.Join(sources, filepath.FromSlash(name))})
		}
	}
	return files, nil
}
