package pawl

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	pb "pawl.dev/pawl/pawlv1"
)

// outside is what comes to local runs from outside; a run shares it with its children.
type outside struct {
	options LocalOptions

	mu                          sync.Mutex
	signals, callbacks, answers map[string][]any
}

// take returns the next value that is prepared under a name.
func (o *outside) take(prepared map[string][]any, name string) (any, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	values := prepared[name]
	if len(values) == 0 {
		return nil, false
	}
	prepared[name] = values[1:]
	return values[0], true
}

// giveBack returns a signal to its place, before those that came after it.
func (o *outside) giveBack(name string, value any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.signals[name] = slices.Insert(o.signals[name], 0, value)
}

// ask answers a question with what was prepared; false if nothing was.
func (l *localLink) ask(entry *pb.JournalEntry, question *pb.Question) bool {
	asked := LocalQuestion{
		Question: question.Prompt, Type: question.Type, Assignees: question.Assignees, Skippable: question.Skippable, StepKey: entry.StepKey,
	}
	for _, option := range question.Options {
		asked.Options = append(asked.Options, option.Value)
	}
	answer, is := l.outside.take(l.outside.answers, question.Prompt)
	if !is {
		answer, is = l.outside.take(l.outside.answers, keyOfQuestion(entry.StepKey))
	}
	if !is && l.outside.options.Answer != nil {
		answer, is = l.outside.options.Answer(asked)
	}
	if !is {
		return false
	}
	if answer == nil && question.Skippable {
		entry.Outcome = pb.WaitOutcome_WAIT_OUTCOME_SKIPPED
		l.pushEntry(entry)
		return true
	}
	if question.Type == pb.QuestionType_QUESTION_TYPE_APPROVAL {
		vote, isVote := answer.(Vote)
		if !isVote {
			approved, isBool := answer.(bool)
			if !isBool {
				l.settle(nil, usage("the answer to %q is a %T; an approval is answered by a bool or a pawl.Vote", question.Prompt, answer))
				return true
			}
			vote = Vote{Approved: approved}
		}
		// A slice of votes can always be encoded.
		votes, _ := json.Marshal([]Vote{vote})
		entry.Details = map[string]string{"actor": vote.Actor, "comment": vote.Comment, "answers": string(votes)}
		answer = vote.Approved
	} else if text, isText := answer.(string); isText && len(asked.Options) > 0 && !question.AllowCustom && !slices.Contains(asked.Options, text) {
		l.settle(nil, usage("the answer to %q is %q; it must be one of %q", question.Prompt, text, asked.Options))
		return true
	}
	l.push(entry, pb.WaitOutcome_WAIT_OUTCOME_ANSWERED, answer, fmt.Sprintf("the answer to %q", question.Prompt))
	return true
}

// keyOfQuestion is the name in the last segment of a question's step key: `user:approve` or `user:question[k]`.
func keyOfQuestion(stepKey string) string {
	segment := stepKey[strings.LastIndexByte(stepKey, '/')+1:]
	segment = strings.TrimPrefix(segment, spaceUser)
	if inner, is := strings.CutPrefix(segment, "question["); is {
		segment = strings.TrimSuffix(inner, "]")
	}
	name, err := url.PathUnescape(segment)
	if err != nil {
		return segment
	}
	return name
}
