package pawl

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
)

// questionSettings are the options of a question.
type questionSettings struct {
	waitSettings
	key      string
	question *pb.Question
	err      error
}

// QuestionOption is a Key, Timeout, Default, Choice, MultiChoice, Form, Assignees,
// Approvals, Skippable or Reminders.
type QuestionOption interface{ applyQuestion(*questionSettings) }

type questionOption func(*questionSettings)

func (o questionOption) applyQuestion(s *questionSettings) { o(s) }

func (k Key) applyQuestion(s *questionSettings)           { s.key = string(k) }
func (t Timeout) applyQuestion(s *questionSettings)       { s.timeout, s.hasTimeout = time.Duration(t), true }
func (d DefaultOption) applyQuestion(s *questionSettings) { d.applyWait(&s.waitSettings) }

// Choice asks for one of these options; the answer is a string.
func Choice(options ...string) QuestionOption {
	return offer(pb.QuestionType_QUESTION_TYPE_CHOICE, options)
}

// MultiChoice asks for any number of these options, including none; the answer is a []string.
func MultiChoice(options ...string) QuestionOption {
	return offer(pb.QuestionType_QUESTION_TYPE_MULTICHOICE, options)
}

func offer(kind pb.QuestionType, options []string) QuestionOption {
	return questionOption(func(s *questionSettings) {
		s.question.Type = kind
		for _, option := range options {
			s.question.Options = append(s.question.Options, &pb.QuestionOption{Value: option})
		}
		if len(options) == 0 || len(slices.Compact(slices.Sorted(slices.Values(options)))) < len(options) {
			s.err = usage("a choice needs options, each once; it got %q", options)
		}
	})
}

// Form asks for JSON that is valid against a JSON Schema, given as JSON text.
func Form(schema string) QuestionOption {
	return questionOption(func(s *questionSettings) {
		s.question.Type, s.question.FormSchema = pb.QuestionType_QUESTION_TYPE_FORM, schema
	})
}

// Assignees restricts who may answer, by name or role. Default: anyone.
func Assignees(names ...string) QuestionOption {
	return questionOption(func(s *questionSettings) { s.question.Assignees = names })
}

// Approvals sets how many different people must approve. Default: 1.
func Approvals(needed uint32) QuestionOption {
	return questionOption(func(s *questionSettings) { s.question.ApprovalsNeeded = needed })
}

// Skippable lets people decline to answer; WaitForUser then returns ErrSkipped.
func Skippable() QuestionOption {
	return questionOption(func(s *questionSettings) { s.question.Skippable = true })
}

// Reminders are recorded this long after the question was asked, for watchers that remind people. At most 20.
func Reminders(after ...time.Duration) QuestionOption {
	return questionOption(func(s *questionSettings) {
		for _, delay := range after {
			s.question.Reminders = append(s.question.Reminders, durationpb.New(delay))
		}
	})
}

// Vote is one person's yes or no.
type Vote struct {
	// Who voted; empty if unknown.
	Actor    string    `json:"actor"`
	Approved bool      `json:"approved"`
	Comment  string    `json:"comment"`
	At       time.Time `json:"at"`
}

// Approval is how an approval ended. The last of the votes decided.
type Approval struct {
	Approved bool   `json:"approved"`
	Votes    []Vote `json:"votes"`
}

// WaitForUser asks people a question and waits for the answer, however long it takes; no
// worker holds the run meanwhile. T selects the type of the question: Approval for a yes
// or no, string for a text or a Choice, []string for a MultiChoice, and for a Form the
// type that its JSON is decoded into.
//
// Without a Key, the question's text is its key. Set a Key if the text may change while
// the question is open; otherwise a changed text is a new question.
func WaitForUser[T any](ctx context.Context, question string, options ...QuestionOption) (T, error) {
	var none T
	question, problem := questionText("WaitForUser", question)
	settings := questionSettings{question: &pb.Question{Prompt: question, Type: pb.QuestionType_QUESTION_TYPE_TEXT}, err: problem}
	if _, approval := any(none).(Approval); approval {
		settings.question.Type, settings.question.ApprovalsNeeded = pb.QuestionType_QUESTION_TYPE_APPROVAL, 1
	}
	for _, option := range options {
		option.applyQuestion(&settings)
	}
	fallback, fits := fallbackOf[T](&settings.waitSettings)
	if !fits {
		settings.err = usage("the Default of the question %q is a %T, not a %T", clip(question, 60), settings.fallback, none)
	}
	p, inRun := enter(ctx)
	if !inRun {
		settings.err = usage("WaitForUser needs a run: it was called with a context that is in none")
	}
	if settings.err == nil {
		settings.err = checkAnswerType(settings.question.Type, reflect.TypeFor[T]())
	}
	if settings.err != nil {
		return none, settings.err
	}
	call := &waitCall{
		space: spaceUser, name: questionName(question), key: settings.key, kind: pb.StepKind_STEP_KIND_USER,
		spec: &pb.WaitSpec{Question: settings.question},
	}
	if settings.key != "" {
		call.name = "question"
	}
	settings.limit(call.spec)
	end, err := p.run.await(ctx, p.scope, call)
	if err != nil {
		return none, err
	}
	switch {
	case end.outcome == "skipped":
		return none, ErrSkipped
	case end.outcome == "timed_out" && settings.hasDefault:
		return fallback, nil
	case end.outcome == "timed_out":
		return none, &WaitTimeoutError{What: fmt.Sprintf("the answer to %q", clip(question, 60)), StepKey: end.stepKey}
	}
	if approval, is := any(&none).(*Approval); is {
		*approval, err = approvalOf(end)
		return none, err
	}
	key := "value:answer:" + end.stepKey
	if len(key) > stepKeyBytesMax {
		key = "value:answer:" + digestText(end.stepKey)
	}
	answer, err := p.run.parsed(key, end.payload)
	if err != nil {
		return none, err
	}
	return decode[T](answer, fmt.Sprintf("the answer to %q", clip(question, 60)))
}

// checkAnswerType refuses a type that no answer to a question can be read into.
func checkAnswerType(question pb.QuestionType, kind reflect.Type) error {
	wanted, name := reflect.String, "a string"
	switch question {
	case pb.QuestionType_QUESTION_TYPE_FORM, pb.QuestionType_QUESTION_TYPE_APPROVAL:
		return nil
	case pb.QuestionType_QUESTION_TYPE_MULTICHOICE:
		wanted, name = reflect.Slice, "a []string"
	}
	pointer := reflect.PointerTo(kind)
	if kind.Kind() == wanted || kind.Kind() == reflect.Interface || pointer.Implements(unmarshalerType) || pointer.Implements(textUnmarshalerType) {
		return nil
	}
	if wanted == reflect.String && kind.Kind() == reflect.Bool {
		return usage("the answer is %s, which does not read into a bool; ask for a pawl.Approval, whose question is a yes or no", name)
	}
	return usage("the answer is %s, which does not read into a %s; use a Form for other types", name, kind)
}

// questionName is what a question is called in keys: itself; where that is more than 80 characters or
// 200 bytes, its first 60 characters (of at most 180 bytes) and a digest.
func questionName(question string) string {
	line := collapseSpace(question)
	head := []rune(line)
	if len(head) <= 80 && len(line) <= nameBytesMax {
		return line
	}
	for head = head[:min(len(head), 60)]; len(string(head)) > 180; {
		head = head[:len(head)-1]
	}
	return string(head) + "… " + digestText(question)[:8]
}

// isSpace says what counts as white space in questions. All SDKs have the same list.
func isSpace(r rune) bool {
	switch r {
	case ' ', 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff:
		return true
	}
	return r >= '\t' && r <= '\r' || r >= 0x2000 && r <= 0x200a
}

// collapseSpace puts a text on one line: each run of white space is one space, and none is at the ends.
func collapseSpace(text string) string { return strings.Join(strings.FieldsFunc(text, isSpace), " ") }

// questionText is a question as it is sent and named.
func questionText(what, question string) (string, error) {
	text := strings.ToValidUTF8(question, "\uFFFD")
	if collapseSpace(text) == "" {
		return "", usage("%s needs a question to ask", what)
	}
	return text, checkText("the question of "+what, text)
}
