package pawl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	other "net/http"

	pb "pawl.dev/pawl/pawlv1"
)

// What is recorded of errors, and what errors.Is and errors.As find in it later.

// recorded is an error as a replay returns it.
func recorded(err error) error {
	return &StepFailedError{Failure: failureOf(toFailure(err)), StepKey: "step", Attempts: 1}
}

type declined struct {
	Code int
	When time.Time
	Err  error
}

func (d declined) Error() string { return fmt.Sprint("declined ", d.Code, ": ", d.Err) }

type kind string

func (k kind) Error() string { return string(k) }

const errGone kind = "gone"

type nilly struct{ inner error }

func (n *nilly) Error() string { return n.inner.Error() }
func (n *nilly) Unwrap() error { return n.inner }

// ProtocolError has a namesake in net/http.
type ProtocolError struct{ ErrorString string }

func (p *ProtocolError) Error() string { return p.ErrorString }

func TestErrorsAreFoundInWhatIsRecorded(t *testing.T) {
	when := time.UnixMilli(1_700_000_000_000).UTC()
	sentinel := errors.New("no stock")
	_, noFile := os.Open("/there/is/no/such/file")
	_, noNumber := strconv.Atoi("x")
	tree := recorded(Terminal(fmt.Errorf("wrap: %w", errors.Join(
		declined{42, when, io.ErrUnexpectedEOF}, &url.Error{Op: "Get", URL: "http://x", Err: sentinel}, fmt.Errorf("deep: %w", errGone)))))
	var mine declined
	if !errors.As(tree, &mine) || mine.Code != 42 || !mine.When.Equal(when) || mine.Err.Error() != io.ErrUnexpectedEOF.Error() || mine.Error() == "" {
		t.Errorf("declined is %+v", mine)
	}
	var request *url.Error
	if !errors.As(tree, &request) || request.Op != "Get" || !errors.Is(request, sentinel) {
		t.Errorf("the url.Error is %+v", request)
	}
	if !errors.Is(tree, errGone) || !errors.Is(tree, sentinel) || errors.Is(tree, kind("other")) || errors.Is(tree, io.EOF) {
		t.Errorf("sentinels of %v", tree)
	}
	wrapped := recorded(fmt.Errorf("wrap: %w", declined{Code: 7}))
	if mine = (declined{}); !errors.As(wrapped, &mine) || mine.Code != 7 {
		t.Errorf("a wrapped one is %+v", mine)
	}
	var path *fs.PathError
	if again := recorded(noFile); !errors.As(again, &path) || path.Op != "open" || !errors.Is(again, fs.ErrNotExist) || errors.Is(again, fs.ErrExist) {
		t.Errorf("no file: %+v", path)
	}
	var number *strconv.NumError
	if !errors.As(recorded(noNumber), &number) || number.Num != "x" || !errors.Is(number, strconv.ErrSyntax) {
		t.Errorf("no number: %+v", number)
	}
	var operation *net.OpError
	if !errors.As(recorded(&net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}), &operation) || operation.Op != "dial" {
		t.Errorf("the OpError is %+v", operation)
	}
	if err := recorded(&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline of the network is none: %v", err)
	}
	if err := recorded(fmt.Errorf("gave up: %w", context.Canceled)); !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not context.Canceled", err)
	}
	var panicked *PanicError
	if !errors.As(recorded(newPanicError("boom")), &panicked) || panicked.Value != "boom" || panicked.Stack == "" {
		t.Errorf("the panic is %+v", panicked)
	}
	var foreign *other.ProtocolError
	var own *ProtocolError
	if err := recorded(&ProtocolError{"x"}); errors.As(err, &foreign) || !errors.As(err, &own) || own.ErrorString != "x" {
		t.Error("a type was taken for its namesake in another package")
	}
	// Recorded again, as by a parent of a child run, it is the same.
	twice := recorded(tree)
	if mine = (declined{}); !errors.As(twice, &mine) || mine.Code != 42 || !errors.Is(twice, errGone) || twice.Error() != tree.Error() {
		t.Errorf("recorded twice: %v, %+v", twice, mine)
	}
}

type hostile struct{ how string }

func (h hostile) Error() string {
	if h.how == "text" {
		panic(h)
	}
	return "hostile\xff\x00"
}
func (h hostile) Unwrap() error {
	switch h.how {
	case "unwrap":
		panic(h)
	case "cycle":
		return h
	}
	return nil
}
func (h hostile) Is(error) bool     { return h.how == "is" && len(h.how[99:]) > 0 }
func (h hostile) ErrorType() string { return string([]byte{0xff}[:1:len(h.how)]) }
func (h hostile) MarshalJSON() ([]byte, error) {
	return nil, h
}

func TestWhateverAnErrorDoesSomethingIsRecorded(t *testing.T) {
	var typedNil *nilly
	var typedNilPath *fs.PathError
	for _, err := range []error{
		typedNil, typedNilPath, Terminal(typedNil), RetryAfter(typedNilPath, -time.Hour), fmt.Errorf("wrap: %w", typedNil), errors.Join(typedNil, nil),
		hostile{"text"}, hostile{"unwrap"}, hostile{"cycle"}, hostile{"is"}, &PanicError{Value: hostile{"text"}}, RetryAfter(io.EOF, math.MaxInt64),
		declined{Err: typedNil},
	} {
		failure := toFailure(err)
		if failure.Message == "" || failure.Type == "" {
			t.Errorf("%T is %v", err, failure)
		}
		if after := failure.RetryAfter; after != nil && (after.AsDuration() < 0 || after.AsDuration() > durationMax) {
			t.Errorf("%T is tried again after %v", err, after.AsDuration())
		}
		if again := failureOf(failure); again.Error() == "" {
			t.Errorf("%T came back as %v", err, again)
		}
	}
	if text := toFailure(typedNil).Message; !strings.Contains(text, "a nil *pawl.nilly was returned as an error") {
		t.Errorf("a typed nil is %q", text)
	}
	if Terminal(nil) != nil || RetryAfter(nil, time.Second) != nil {
		t.Error("a mark on no error is an error")
	}
	if got := toFailure(nil); got.GetMessage() == "" {
		t.Errorf("no error is %v", got)
	}
	if err := failureOf(&pb.Failure{Type: "declined", Message: "x", Details: tagged(`{"Code":"not a number","When":1}`)}); !errors.As(err, new(declined)) {
		t.Error("details that do not fit keep a type from being found")
	}
}
