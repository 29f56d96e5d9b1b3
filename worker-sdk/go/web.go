package pawl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// EventsOptions say which events of a run EventsHandler sends, and as what.
type EventsOptions struct {
	// The events. AfterCursor has no meaning here: the browser says where it was.
	Watch WatchOptions
	// Map returns what is sent for an event, as JSON; false leaves the event out. Default: the whole event, in the
	// form that the server sends, without stack traces and without the input of the run.
	Map func(event *pb.Event) (any, bool)
	// How often a quiet stream sends a comment. Default: 15 s.
	Heartbeat time.Duration
}

// EventsHandler serves the events of the run as Server-Sent Events, which is all that a browser's EventSource needs:
// `id` is the event's cursor, `event` its type and `data` the event as JSON. It continues where the browser was
// (Last-Event-ID), and replies with 204 once the run has ended and everything was sent, so that the browser does not
// come back, and with 404 if there is no such run. When the browser goes, the watch on the server ends. Headers that
// are set before are kept.
//
//	mux.HandleFunc("GET /orders/{id}/events", func(w http.ResponseWriter, r *http.Request) {
//		run := pawl.Handle[Receipt](client, "order-"+r.PathValue("id"))
//		run.EventsHandler(pawl.EventsOptions{}).ServeHTTP(w, r)
//	})
func (h *RunHandle[Out]) EventsHandler(options EventsOptions) http.Handler {
	if options.Heartbeat <= 0 {
		options.Heartbeat = 15 * time.Second
	}
	if options.Map == nil {
		options.Map = publicEvent
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		watch := options.Watch
		watch.AfterCursor = r.Header.Get("Last-Event-ID")
		run, err := h.Get(ctx)
		if err != nil && !(watch.WaitForStart && errors.Is(err, NotFound)) {
			refuse(w, err)
			return
		}
		events := make(chan watched)
		go func() {
			defer close(events)
			for event, err := range h.Watch(ctx, watch) {
				select {
				case events <- watched{event, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		s := eventStream{EventsOptions: options, w: w, control: http.NewResponseController(w)}
		s.serve(ctx, events, hasEnded(run))
	})
}

// watched is what a watch brings.
type watched struct {
	event *pb.Event
	err   error
}

// eventStream is one response.
type eventStream struct {
	EventsOptions
	w       http.ResponseWriter
	control *http.ResponseController
	lastID  string
}

// serve begins the response once the first event is there, since a refusal needs another status. It comes at once; a
// stream that is quiet for long is none.
func (s *eventStream) serve(ctx context.Context, events <-chan watched, ended bool) {
	var quiet <-chan time.Time
	if !ended {
		quiet = time.After(refusalWait)
	}
	var first *watched
	select {
	case got, more := <-events:
		if !more {
			s.w.WriteHeader(http.StatusNoContent)
			return
		}
		if first = &got; got.err != nil {
			refuse(s.w, got.err)
			return
		}
	case <-quiet:
	case <-ctx.Done():
		return
	}
	header := s.w.Header()
	header.Set("Content-Type", "text/event-stream; charset=utf-8")
	for name, value := range map[string]string{"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"} {
		if header.Get(name) == "" {
			header.Set(name, value)
		}
	}
	s.w.WriteHeader(http.StatusOK)
	if !s.write("retry: 1000\n\n") || first != nil && !s.send(*first) {
		return
	}
	heart := time.NewTicker(s.Heartbeat)
	defer heart.Stop()
	for {
		select {
		case got, more := <-events:
			if !more || !s.send(got) {
				return
			}
		case <-heart.C:
			if !s.write(": heartbeat\n\n") {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// send sends an event; false once there is nothing more to send.
func (s *eventStream) send(got watched) bool {
	if got.err != nil {
		// Without an id: a browser that comes back continues from the last event.
		s.write(fmt.Sprintf("event: stream.error\ndata: {\"reason\":%q}\n\n", reasonFor(got.err)))
		return false
	}
	id := ""
	// What is only shown to those who watch at that moment has no place of its own.
	if got.event.Cursor != s.lastID {
		id = "id: " + got.event.Cursor + "\n"
		s.lastID = got.event.Cursor
	}
	data, isSent := s.Map(got.event)
	if !isSent {
		return s.write(id + ": left out\n\n")
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(data); err != nil {
		s.write("event: stream.error\ndata: {\"reason\":\"INTERNAL\"}\n\n")
		return false
	}
	// Types are the user's own words; a line break would end the field.
	line := strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(got.event.Type)
	return s.write(id + "event: " + line + "\ndata: " + text.String() + "\n")
}

// write sends text at once; false where the reader is gone, or does not read.
func (s *eventStream) write(text string) bool {
	// Not every server has deadlines; without one a reader that does not read holds this response.
	_ = s.control.SetWriteDeadline(time.Now().Add(readerPatience))
	_, err := s.w.Write([]byte(text))
	return err == nil && s.control.Flush() == nil
}

// publicEvent is an event without what is the operator's own affair.
func publicEvent(event *pb.Event) (any, bool) {
	plain := plainMessage(event.ProtoReflect())
	if entry, is := plain["entry"].(map[string]any); is {
		if event.Type == "run.started" {
			delete(entry, "payload")
		}
		failure, has := entry["failure"].(map[string]any)
		for has {
			delete(failure, "stack")
			failure, has = failure["cause"].(map[string]any)
		}
	}
	return plain, true
}

func reasonFor(err error) Reason {
	var known *RequestError
	if errors.As(err, &known) {
		return known.Reason
	}
	return "INTERNAL"
}

var statusOfReason = map[Reason]int{
	InvalidArgument: http.StatusBadRequest, NotFound: http.StatusNotFound,
	"CURSOR_EXPIRED": http.StatusGone, "RATE_LIMITED": http.StatusTooManyRequests,
}

// refuse says why, unless that is for the operator of this program only.
func refuse(w http.ResponseWriter, err error) {
	problem := map[string]any{"reason": reasonFor(err)}
	status, isKnown := statusOfReason[reasonFor(err)]
	var known *RequestError
	if errors.As(err, &known) && isKnown {
		problem["detail"] = known.Message
	} else {
		status = http.StatusServiceUnavailable
	}
	problem["status"] = status
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The reader may be gone.
	_ = json.NewEncoder(w).Encode(problem)
}
