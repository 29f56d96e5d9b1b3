package pawl

import (
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// Values on the wire, as other SDKs write and read them.

func tagged(text string) *pb.Payload {
	return &pb.Payload{Encoding: encodingTagged, Data: []byte(text)}
}

func TestTagsOfOtherLanguagesAreRead(t *testing.T) {
	type target struct {
		When time.Time     `json:"when"`
		Raw  []byte        `json:"raw"`
		Big  *big.Int      `json:"big"`
		Wait time.Duration `json:"wait"`
		Tags []string      `json:"tags"`
		Sums map[string]int
		ID   string `json:"id"`
		None *int   `json:"none"`
	}
	payload := tagged(`{"when":{"$pawl":"date","value":"2026-01-31T12:00:00.123Z"},"raw":{"$pawl":"bytes","value":"AP8="},
		"big":{"$pawl":"bigint","value":"123456789012345678901234567890"},"wait":{"$pawl":"duration","value":1500},
		"tags":{"$pawl":"set","value":["a","b"]},"Sums":{"$pawl":"map","value":[["x",1],["y",2]]},
		"id":{"$pawl":"uuid","value":"0198"},"none":{"$pawl":"undefined"}}`)
	number, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	want := target{
		When: time.Date(2026, 1, 31, 12, 0, 0, 123_000_000, time.UTC), Raw: []byte{0, 255}, Big: number,
		Wait: 1500 * time.Millisecond, Tags: []string{"a", "b"}, Sums: map[string]int{"x": 1, "y": 2}, ID: "0198",
	}
	if got, err := decode[target](payload, "it"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	anything, err := decode[any](tagged(`[{"$pawl":"number","value":"-Infinity"},{"$pawl":"object","value":[["$pawl","date"]]},1]`), "it")
	if want := []any{math.Inf(-1), map[string]any{"$pawl": "date"}, 1.0}; err != nil || !reflect.DeepEqual(anything, want) {
		t.Errorf("got %#v, %v", anything, err)
	}
	if _, err := decode[any](tagged(`{"$pawl":"moon","value":1}`), "it"); err == nil || !strings.Contains(err.Error(), "moon") {
		t.Errorf("an unknown tag: %v", err)
	}
}

func TestWhatIsWritten(t *testing.T) {
	type embedded struct{ When time.Time }
	type named struct {
		embedded
		Skipped int    `json:"-"`
		Empty   string `json:"empty,omitempty"`
		N       int    `json:"n"`
	}
	moment := time.UnixMilli(1).UTC()
	for _, one := range []struct {
		value          any
		encoding, data string
	}{
		{nil, encodingJSON, `null`},
		{Void{}, encodingVoid, ``},
		{[]byte{}, encodingBytes, ``},
		{map[string]any{"a": 1.5}, encodingJSON, `{"a":1.5}`},
		{named{embedded: embedded{time.UnixMilli(1).UTC()}, N: 2}, encodingTagged, `{"When":{"$pawl":"date","value":"1970-01-01T00:00:00.001Z"},"n":2}`},
		{[]any{math.NaN(), []byte{1}}, encodingTagged, `[{"$pawl":"number","value":"NaN"},{"$pawl":"bytes","value":"AQ=="}]`},
		{map[string]any{"$pawl": "x"}, encodingJSON, `{"$pawl":"x"}`},
		{[]any{math.NaN(), map[string]any{"$pawl": "x"}}, encodingTagged, `[{"$pawl":"number","value":"NaN"},{"$pawl":"object","value":[["$pawl","x"]]}]`},
		{*big.NewInt(7), encodingTagged, `{"$pawl":"bigint","value":"7"}`},
		{big.NewInt(7), encodingTagged, `{"$pawl":"bigint","value":"7"}`},
		{(*big.Int)(nil), encodingJSON, `null`},
		{struct{ N *big.Int }{big.NewInt(7)}, encodingTagged, `{"N":{"$pawl":"bigint","value":"7"}}`},
		{&moment, encodingTagged, `{"$pawl":"date","value":"1970-01-01T00:00:00.001Z"}`},
	} {
		got, err := encode(one.value, "it")
		if err != nil || got.Encoding != one.encoding || string(got.Data) != one.data {
			t.Errorf("%#v is %s %s, %v", one.value, got.GetEncoding(), got.GetData(), err)
		}
	}
	if _, err := encode(func() {}, "it"); err == nil {
		t.Error("a function was encoded")
	}
}

// Digests and keys that the other SDKs come to as well.
func TestDigestsAndIDs(t *testing.T) {
	got, err := digest([]any{map[string]any{"b": 1, "a": []any{"ü<&", 2.5}}}, "it")
	if want := digestText(`[{"a":["ü<&",2.5],"b":1}]`); err != nil || got != want {
		t.Errorf("the digest is %s, %v", got, err)
	}
	if got := childRunID("run-1", "map:each/a%2Fb/child:ship"); got != "run-1~map:each.a%252Fb.child:ship" {
		t.Errorf("the child's id is %s", got)
	}
	template, err := parseTemplate("order-{id}-{n}")
	if err != nil {
		t.Fatal(err)
	}
	payload, err := encode(map[string]any{"id": "a-b", "n": 7}, "it")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := template.render(payload); err != nil || got != "order-a%2Db-7" {
		t.Errorf("the run id is %s, %v", got, err)
	}
}

func TestAQuestionIsNamedAlikeInEverySDK(t *testing.T) {
	for question, want := range map[string]string{
		"  Publish \n now? ":     "Publish now?",
		strings.Repeat("質問", 40): strings.Repeat("質問", 30) + "… e0f30b3b",
	} {
		if got := questionName(question); got != want {
			t.Errorf("questionName(%q) = %q, want %q", question, got, want)
		}
	}
}

// The hashes are what the TypeScript SDK makes of the same values.
func TestDigestsAreTheSameInEveryLanguage(t *testing.T) {
	cases := map[string]any{
		"e7ae4b05f0efae3f69dd160d49e588745ce376bb5c4c5cfc2ee87fc5b5c963fc": map[string]any{"of": map[string]any{"$pawl": "date", "value": "x"}},
		"19d0009ea48b9837c2e81fd66f2fb630a2ce33ed758d2d7c7dfa8ad09aa4f5b2": map[string]any{"$pawl": "x", "at": []byte{1}},
		"d041a25c760adaea468b4719ec5ee32dcf6728d856e7d5e05f9e47ee77f4d7e4": "\u2028\u2029\b\f\u0001\u007f\U0001f600",
		"4c13481d0f1d96c23bdadb871cf5b920414a8a01416ca3103cab7c027d4f14b3": map[string]any{"\uff5e": 1, "\U0001f600": 2},
	}
	for want, value := range cases {
		if got, err := digest([]any{value}, "it"); err != nil || got != want {
			t.Errorf("%v: %s, %v; want %s", value, got, err, want)
		}
	}
}
