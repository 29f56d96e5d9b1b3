package pawl

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Typed values go by encoding/json's own rules, beside a time, bytes or NaN as well as without.

type meta struct {
	ID   string
	Note string
}
type Base struct{ Author, Place string }
type outer struct {
	ID string
	meta
	*Base
	Count int64             `json:",string"`
	Rate  *float64          `json:"rate,string"`
	Raw   json.RawMessage   `json:"raw"`
	IP    net.IP            `json:"ip"`
	Own   ownForm           `json:"own"`
	Rat   big.Rat           `json:"rat"`
	Tag   string            `json:"$pawl"`
	ByNr  map[int]float64   `json:"byNr"`
	Skip  string            `json:"-"`
	Dash  string            `json:"-,"`
	Zero  time.Time         `json:"zero,omitzero"`
	Deep  []map[string]*int `json:"deep,omitempty"`
	Array [2]float32
	Any   any
	At    time.Time
}

// ownForm is written by methods of its pointer.
type ownForm struct{ text string }

func (o *ownForm) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"$pawl": o.text})
}
func (o *ownForm) UnmarshalJSON(data []byte) error {
	var members map[string]string
	err := json.Unmarshal(data, &members)
	o.text = members["$pawl"]
	return err
}

// stamped is written as a text, although it has a time.
type stamped struct{ at time.Time }

func (s stamped) MarshalText() ([]byte, error) { return []byte(s.at.Format(time.RFC3339)), nil }
func (s *stamped) UnmarshalText(text []byte) (err error) {
	s.at, err = time.Parse(time.RFC3339, string(text))
	return err
}

func TestTypedValuesComeBackByTheRulesOfJSON(t *testing.T) {
	at := time.Unix(1, 0).UTC()
	rate, n := 1.5, 7
	whole := outer{
		ID: "order-1", meta: meta{"meta-9", "kept"}, Base: &Base{"ada", "here"}, Count: math.MaxInt64, Rate: &rate,
		Raw: json.RawMessage(`{"$pawl":"date","value":[1,2.50]}`), IP: net.IPv4(1, 2, 3, 4), Own: ownForm{"x"}, Rat: *big.NewRat(1, 3),
		Tag: "bigint", ByNr: map[int]float64{-1: math.Inf(1), 2: 0.5}, Dash: "-", Deep: []map[string]*int{{"$pawl": &n, "none": nil}, nil},
		Array: [2]float32{1.25, float32(math.Inf(-1))}, Any: []any{at, "x", 1.5, map[string]any{"$pawl": "date"}}, At: at,
	}
	want := whole
	// The outer field has the name; that is Go's and encoding/json's rule.
	want.meta.ID = ""
	for _, value := range []any{whole, &whole, []outer{whole}, map[string]outer{"a": whole}, map[stamped]stamped{{at}: {at}}} {
		expect := value
		switch value.(type) {
		case outer:
			expect = want
		case *outer:
			expect = &want
		case []outer:
			expect = []outer{want}
		case map[string]outer:
			expect = map[string]outer{"a": want}
		}
		payload, err := encode(value, "it")
		if err != nil {
			t.Fatal(err)
		}
		target := reflect.New(reflect.TypeOf(value))
		if err := decodeInto(payload, target.Interface()); err != nil {
			t.Fatalf("%s: %v", payload.Data, err)
		}
		if got := target.Elem().Interface(); !reflect.DeepEqual(got, expect) {
			t.Errorf("%T: %s came back as\n%+v, not\n%+v", value, payload.Data, got, expect)
		}
	}
}

func TestWhatJSONCanDoIsWrittenAsJSONDoesIt(t *testing.T) {
	type twice struct {
		meta
		Base
		Other struct{ Base }
		F     float64 `json:"f,string"`
	}
	type both struct {
		A struct{ Name string }
		meta
		Also struct{ meta }
	}
	type clash struct {
		meta
		Second struct{ ID int } `json:",omitempty"`
		X      float64          `json:"x,omitempty"`
		Y      *float64         `json:"y,omitempty"`
	}
	for _, value := range []any{
		twice{meta{"1", "<&>"}, Base{"a", "b"}, struct{ Base }{}, 2.5}, both{}, clash{X: 1}, map[int]float64{3: 1, -2: 0.25},
		[]any{nil, true, "a\u2028", json.Number("1.50"), map[string]any{"b": 1, "a": []string{}}}, (*Base)(nil), []float64(nil), 1e21, float32(0.1),
	} {
		want, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := encode(value, "it"); err != nil || got.Encoding != encodingJSON || string(got.Data) != string(want) {
			t.Errorf("%T is %s, %v; not %s", value, got.GetData(), err, want)
		}
	}
}

func TestValuesThatCannotBeRecordedAreErrors(t *testing.T) {
	type loop struct {
		Next *loop
		At   time.Time
	}
	endless := &loop{}
	endless.Next = endless
	for _, value := range []any{
		time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), []time.Time{time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)},
		endless, []any{func() {}}, map[any]float64{1: 2}, []any{panics{}},
	} {
		_, err := encode(value, "the value")
		var cannot *SerializationError
		if !errors.As(err, &cannot) || !strings.HasPrefix(err.Error(), "the value cannot be encoded: ") {
			t.Errorf("%T: %v", value, err)
		}
	}
	if _, err := decode[int](tagged(`{"$pawl":"number","value":"NaN"}`), "the value"); err == nil || !strings.HasPrefix(err.Error(), "the value cannot be read: ") {
		t.Errorf("NaN as an int: %v", err)
	}
	payload, err := encode([]any{int64(math.MaxInt64)}, "it")
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode[any](payload, "it")
	if want, _ := new(big.Int).SetString(fmt.Sprint(math.MaxInt64), 10); err != nil || !reflect.DeepEqual(got, []any{want}) {
		t.Errorf("a large integer came back as %v, %v", got, err)
	}
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("no form") }
