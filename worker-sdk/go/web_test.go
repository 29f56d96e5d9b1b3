package pawl_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pawl.dev/pawl"
	pb "pawl.dev/pawl/pawlv1"
)

// A run's events as a browser gets them.

func (l *lab) page(options pawl.EventsOptions) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /runs/{id}", func(w http.ResponseWriter, r *http.Request) {
		pawl.Handle[any](l.client, r.PathValue("id")).EventsHandler(options).ServeHTTP(w, r)
	})
	page := httptest.NewServer(mux)
	l.t.Cleanup(page.Close)
	return page
}

func get(ctx context.Context, t *testing.T, url, lastID string) *http.Response {
	t.Helper()
	request := must[*http.Request](t)(http.NewRequestWithContext(ctx, "GET", url, nil))
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	return must[*http.Response](t)(http.DefaultClient.Do(request))
}

func TestEventsForBrowsers(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	flow := pawl.NewWorkflow("page", func(ctx context.Context, in string) (string, error) {
		if _, err := pawl.Step(ctx, "fails", func(context.Context) (int, error) { panic("oh") }); err == nil {
			return "", errors.New("the step did not fail")
		}
		return pawl.Signal[string](ctx, "go")
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[string]](t)(pawl.Start(ctx, l.client, flow, "my secret", pawl.RunID("page-1")))
	page := l.page(pawl.EventsOptions{Heartbeat: 50 * time.Millisecond})

	reading, leave := context.WithCancel(ctx)
	response := get(reading, t, page.URL+"/runs/page-1", "")
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" || response.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("the response is %v", response)
	}
	lines := bufio.NewScanner(response.Body)
	lastID, seen := "", map[string]bool{}
	for lines.Scan() && !(seen["heartbeat"] && seen["workflow.wait.created"]) {
		line := lines.Text()
		if strings.Contains(line, "my secret") || strings.Contains(line, "goroutine ") {
			t.Errorf("sent to the browser: %s", line)
		}
		if id, is := strings.CutPrefix(line, "id: "); is {
			lastID = id
		} else if kind, is := strings.CutPrefix(line, "event: "); is {
			seen[kind] = true
		} else if line == ": heartbeat" {
			seen["heartbeat"] = true
		}
	}
	leave()
	waitFor(t, "no watcher is left on the server", func() bool {
		metrics := must[*http.Response](t)(http.Get(l.server.HTTP + "/metrics"))
		defer metrics.Body.Close()
		return strings.Contains(string(must[[]byte](t)(io.ReadAll(metrics.Body))), "\npawl_watchers 0\n")
	})
	if err := run.Signal(ctx, "go", "on"); err != nil {
		t.Fatal(err)
	}
	must[string](t)(run.Result(ctx))

	rest := must[[]byte](t)(io.ReadAll(get(ctx, t, page.URL+"/runs/page-1", lastID).Body))
	if strings.Contains(string(rest), "event: run.started") || !strings.Contains(string(rest), "event: run.completed") {
		t.Errorf("continued with %s", rest)
	}
	ids := strings.Split(string(rest), "id: ")
	lastID, _, _ = strings.Cut(ids[len(ids)-1], "\n")
	if again := get(ctx, t, page.URL+"/runs/page-1", lastID); again.StatusCode != http.StatusNoContent {
		t.Errorf("after the end: %v", again)
	}
	for path, status := range map[string]int{"/runs/none": http.StatusNotFound} {
		if response := get(ctx, t, page.URL+path, ""); response.StatusCode != status {
			t.Errorf("%s: %v", path, response)
		}
	}
	if response := get(ctx, t, page.URL+"/runs/page-1", "bogus"); response.StatusCode != http.StatusBadRequest && response.StatusCode != http.StatusGone {
		t.Errorf("a cursor that is none: %v", response)
	}
	mapped := l.page(pawl.EventsOptions{Map: func(event *pb.Event) (any, bool) {
		return map[string]string{"is": event.Type}, event.Type == "run.completed"
	}})
	only := string(must[[]byte](t)(io.ReadAll(get(ctx, t, mapped.URL+"/runs/page-1", "").Body)))
	if strings.Count(only, "data: ") != 1 || !strings.Contains(only, `data: {"is":"run.completed"}`) {
		t.Errorf("mapped to %s", only)
	}
}

// The JSON of an event is the one that the server sends.
func TestEventsHaveTheFormOfTheServer(t *testing.T) {
	l := newLab(t)
	ctx := l.context()
	flow := pawl.NewWorkflow("form", func(ctx context.Context, in pawl.Void) (time.Time, error) {
		if err := pawl.Sleep(ctx, time.Millisecond); err != nil {
			return time.Time{}, err
		}
		return pawl.Step(ctx, "when", func(context.Context) (time.Time, error) { return time.UnixMilli(1).UTC(), nil }, pawl.Retry{})
	})
	l.serve(flow)
	run := must[*pawl.RunHandle[time.Time]](t)(pawl.Start(ctx, l.client, flow, pawl.Void{}, pawl.RunID("form-1")))
	must[time.Time](t)(run.Result(ctx))
	eventsAt := func(url string) []any {
		var found []any
		for line := range strings.SplitSeq(string(must[[]byte](t)(io.ReadAll(get(ctx, t, url, "").Body))), "\n") {
			if data, is := strings.CutPrefix(line, "data: "); is {
				var event any
				if err := json.Unmarshal([]byte(data), &event); err != nil {
					t.Fatal(err)
				}
				found = append(found, event)
			}
		}
		return found
	}
	ours, theirs := eventsAt(l.page(pawl.EventsOptions{}).URL+"/runs/form-1"), eventsAt(l.server.HTTP+"/v1/runs/form-1/events")
	// The input of the run is left out here.
	for _, event := range theirs {
		if entry := event.(map[string]any)["entry"].(map[string]any); entry["type"] == "run.started" {
			delete(entry, "payload")
		}
	}
	a, b := string(must[[]byte](t)(json.Marshal(ours))), string(must[[]byte](t)(json.Marshal(theirs)))
	if a != b || len(ours) < 5 {
		t.Errorf("sent\n%s\nand the server sends\n%s", a, b)
	}
}
