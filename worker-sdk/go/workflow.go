package pawl

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	pb "pawl.dev/pawl/pawlv1"
)

// AnyWorkflow is a Workflow, whatever its types.
type AnyWorkflow interface {
	Name() string
	definition() *definition
}

// Workflow takes an In and results in an Out; Void where there is none.
type Workflow[In, Out any] struct {
	def  *definition
	code func(context.Context, In) (Out, error)
}

// NewWorkflow defines a workflow. Its code gets a context to hand to the calls of
// this package. It panics on a name or options that make no sense.
func NewWorkflow[In, Out any](name string, code func(ctx context.Context, in In) (Out, error), options ...WorkflowOptions) *Workflow[In, Out] {
	def := &definition{name: name}
	if len(options) > 0 {
		def.options = options[0]
	}
	err := checkName("a workflow", name)
	if err == nil && len(options) > 1 {
		err = usage("workflow %q has more than one set of options", name)
	}
	if retry := def.options.Retry; err == nil && retry != nil {
		retry.applyStep(&def.stepDefaults)
		err = def.stepDefaults.err
	}
	if err == nil && def.options.ID != "" {
		_, err = parseTemplate(def.options.ID)
	}
	if err != nil {
		panic(err)
	}
	def.stepDefaults.timeout, def.stepDefaults.hasTimeout = def.options.StepTimeout, def.options.StepTimeout != 0
	def.invoke = func(ctx context.Context, payload *pb.Payload) (*pb.Payload, error) {
		in, err := decode[In](payload, fmt.Sprintf("the input of workflow %q", name))
		if err != nil {
			return nil, err
		}
		out, err := code(ctx, in)
		if err != nil {
			return nil, err
		}
		return encode(out, fmt.Sprintf("the result of workflow %q", name))
	}
	return &Workflow[In, Out]{def: def, code: code}
}

// Name is what runs of the workflow are started by.
func (w *Workflow[In, Out]) Name() string { return w.def.name }

func (w *Workflow[In, Out]) definition() *definition {
	if w == nil {
		return nil
	}
	return w.def
}

// Call just runs the code here and now, as in a unit test: steps run once,
// sleeps sleep, and nothing is recorded.
func (w *Workflow[In, Out]) Call(ctx context.Context, in In) (Out, error) { return w.code(ctx, in) }

// template is a run id with variables: one literal more than variables, before,
// between and behind them.
type template struct{ literals, variables []string }

func parseTemplate(text string) (template, error) {
	var t template
	rest := text
	for {
		open := strings.IndexByte(rest, '{')
		end := strings.IndexByte(rest, '}')
		if open < 0 || end < open+2 {
			break
		}
		t.literals = append(t.literals, rest[:open])
		t.variables = append(t.variables, rest[open+1:end])
		rest = rest[end+1:]
	}
	t.literals = append(t.literals, rest)
	for i, literal := range t.literals {
		if strings.IndexFunc(literal, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("-_.:~/@", r) }) >= 0 {
			return t, usage("the run id template %q has a part %q; only {variables}, letters, digits and -_.:~/@ are allowed", text, literal)
		}
		if literal == "" && i > 0 && i < len(t.variables) {
			return t, usage("the run id template %q has two variables next to each other; put something between them", text)
		}
	}
	if len(t.variables) == 0 {
		return t, usage("the run id template %q has no variable, so that there could only ever be one run", text)
	}
	return t, nil
}

// render escapes values, so that no two inputs make one id by shifting
// characters from one variable to the next.
func (t template) render(input *pb.Payload) (string, error) {
	members := map[string]any{}
	if tree, err := parseTree(input.GetData()); err == nil {
		members, _ = tree.(map[string]any)
	}
	between := ""
	if len(t.literals) > 2 {
		between = strings.Join(t.literals[1:len(t.literals)-1], "")
	}
	id := t.literals[0]
	for i, name := range t.variables {
		text := ""
		switch value := members[name].(type) {
		case string:
			text = value
		case bool, json.Number:
			text = fmt.Sprint(value)
		case map[string]any:
			if value[tagKey] == "bigint" {
				text, _ = value["value"].(string)
			}
		}
		if err := checkText(fmt.Sprintf("the input's %q, which the run id is made of,", name), text); err != nil {
			return "", err
		}
		if text == "" {
			return "", usage("the run id needs the input's %q to be a text, number or boolean that is not empty; or give a RunID", name)
		}
		id += escape(text, func(r rune) bool {
			return !isAlphanumeric(r) && !strings.ContainsRune("-_.~", r) || strings.ContainsRune(between, r)
		}) + t.literals[i+1]
	}
	if len(id) > runIDBytesMax {
		return "", usage("the run id %q… has %d bytes (limit %d); give a RunID", clip(id, 60), len(id), runIDBytesMax)
	}
	return id, nil
}
