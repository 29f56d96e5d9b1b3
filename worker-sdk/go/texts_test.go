package pawl

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Names, keys and questions mean the same in every SDK: the vectors that all of them read.

type textVector struct {
	Text, Key, Why, Recorded string
	Position                 int
	// It has half of a surrogate pair, which a text in Go cannot have.
	Surrogate bool
}

func (v textVector) check(t *testing.T, err error) {
	t.Helper()
	var refusal *UsageError
	if v.Surrogate {
		return
	}
	if !errors.As(err, &refusal) || v.Position > 0 && !strings.Contains(err.Error(), fmt.Sprintf("character %d", v.Position)) {
		t.Errorf("%q (%s): %v", v.Text, v.Why, err)
	}
}

func TestTextsAreTreatedAlikeInEverySDK(t *testing.T) {
	data, err := os.ReadFile("../../test/conformance/texts.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts struct {
		Children                                                              []struct{ Parent, StepKey, RunID string }
		Questions, RefusedQuestions, Names, RefusedNames, RefusedKeys, Values []textVector
	}
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	for _, v := range texts.Children {
		if id := childRunID(v.Parent, v.StepKey); id != v.RunID {
			t.Errorf("the child at %q has the id %q, not %q", v.StepKey, id, v.RunID)
		}
	}
	for _, v := range texts.Questions {
		if text, err := questionText("it", v.Text); !v.Surrogate && (err != nil || spaceUser+escapeName(questionName(text)) != v.Key) {
			t.Errorf("the question %q has the key %q, %v; not %q", v.Text, escapeName(questionName(text)), err, v.Key)
		}
	}
	for _, v := range texts.RefusedQuestions {
		_, err := questionText("it", v.Text)
		v.check(t, err)
	}
	for _, v := range texts.Names {
		if err := checkName("it", v.Text); !v.Surrogate && (err != nil || escapeName(v.Text) != v.Key) {
			t.Errorf("the name %q is %q in a key, %v; not %q", v.Text, escapeName(v.Text), err, v.Key)
		}
	}
	for _, v := range texts.RefusedNames {
		v.check(t, checkName("it", v.Text))
	}
	for _, v := range texts.RefusedKeys {
		_, err := (&scope{}).claim(spaceStep, "s", v.Text)
		v.check(t, err)
	}
	for _, v := range texts.Values {
		payload, err := encode(v.Text, "it")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode[string](payload, "it"); !v.Surrogate && (err != nil || got != v.Recorded) {
			t.Errorf("the value %q came back as %q, %v", v.Text, got, err)
		}
	}
	if err := checkName("it", "x\xf0\x9f\x98"); err == nil || !strings.Contains(err.Error(), "character 2") {
		t.Errorf("a name that was cut in the middle of a character: %v", err)
	}
}

func TestACallWithATextThatCannotBeEncodedIsTheCallersFault(t *testing.T) {
	client, err := NewClient(ClientOptions{URL: "http://127.0.0.1:9"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	cut := "x\xf0\x9f\x98"
	if err := Handle[int](client, "r").Signal(t.Context(), cut, 1); err == nil || !strings.Contains(err.Error(), "character 2") {
		t.Errorf("a signal whose name was cut: %v", err)
	}
	made := errorOf(status.Error(codes.Internal, "grpc: error while marshaling: string field contains invalid UTF-8"))
	var refusal *RequestError
	if !errors.As(made, &refusal) || refusal.Reason != InvalidArgument {
		t.Errorf("a request that cannot be encoded: %v", made)
	}
}
