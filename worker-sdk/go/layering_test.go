package pawl

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers are the files of this package, lowest first: a file uses what is declared in its own layer or in lower ones.
var layers = [][]string{
	// Values, errors and names.
	{"version", "limits", "ids", "errors", "failure", "record", "codec", "tagged", "typed", "revive", "fields", "keys"},
	{"options", "start_options", "emit_options"},
	// The replay machine, which docs/replay-machine.md describes.
	{
		"definition", "tracing", "link", "scope", "memo", "deliveries", "run", "operation", "step", "step_body", "wait",
		"persist", "catch_up", "compensations", "outcome", "reports", "restarts", "suspend", "events", "group",
	},
	// What workflows call, a file for each feature.
	{
		"doc", "workflow", "step_call", "emit", "stream", "values", "wait_calls", "signals", "child", "spawn", "branches", "callback",
		"approval", "questions", "compensate", "current",
	},
	// The ways to the server.
	{
		"standstill", "discovery", "platform", "outbox", "framed_calls", "deltas", "connection", "connection_link", "run_table",
		"unary_link", "poller",
	},
	{"client", "lists", "plain", "web", "claim", "local", "local_link", "outside", "worker"},
}

func TestLayering(t *testing.T) {
	t.Parallel()
	ranks := map[string]int{}
	for rank, stems := range layers {
		for _, stem := range stems {
			ranks[stem] = rank
		}
	}
	set, files := parseOwn(t)
	for _, file := range files {
		if stem := stemAt(set, file.Pos()); !slices.Contains(slices.Concat(layers...), stem) {
			t.Errorf("%s.go is in no layer; give it one in this file", stem)
		}
	}
	for _, use := range usesOf(set, files) {
		if ranks[use.to] > ranks[use.from] {
			t.Errorf("%s.go uses %s of %s.go, which is in a higher layer", use.from, use.name, use.to)
		}
	}
}

func stemAt(set *token.FileSet, at token.Pos) string {
	return strings.TrimSuffix(set.Position(at).Filename, ".go")
}

// parseOwn parses the files of this package without its tests.
func parseOwn(t *testing.T) (*token.FileSet, []*ast.File) {
	t.Helper()
	set := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	files := make([]*ast.File, len(names))
	for i, name := range names {
		if files[i], err = parser.ParseFile(set, name, nil, parser.SkipObjectResolution); err != nil {
			t.Fatal(err)
		}
	}
	return set, files
}

// use says that a file uses a name that another one declares at its top level, or a method of it.
type use struct{ from, to, name string }

func usesOf(set *token.FileSet, files []*ast.File) []use {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	// Imports are not looked at: what remains unknown without them is not of this package.
	config := types.Config{Importer: emptyPackages{}, Error: func(error) {}}
	pkg, _ := config.Check("pawl", set, files, info)
	var uses []use
	for at, object := range info.Uses {
		function, _ := object.(*types.Func)
		isMethod := function != nil && function.Signature().Recv() != nil
		if object.Pkg() == pkg && (object.Parent() == pkg.Scope() || isMethod) {
			uses = append(uses, use{stemAt(set, at.Pos()), stemAt(set, object.Pos()), object.Name()})
		}
	}
	slices.SortFunc(uses, func(a, b use) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return slices.Compact(uses)
}

type emptyPackages struct{}

func (emptyPackages) Import(path string) (*types.Package, error) {
	pkg := types.NewPackage(path, path[strings.LastIndexByte(path, '/')+1:])
	pkg.MarkComplete()
	return pkg, nil
}
