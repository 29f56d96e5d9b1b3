package pawl_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pawl.dev/pawl"
)

// One address is enough for clients and workers, and a server's word is not followed elsewhere.

func TestTheHTTPAddressIsEnough(t *testing.T) {
	l := newLab(t)
	double := pawl.NewWorkflow("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	l.server.URL = l.server.HTTP
	for _, poll := range []bool{false, true} {
		stop := l.serveBy(poll, double)
		client := must[*pawl.Client](t)(pawl.NewClient(pawl.ClientOptions{URL: l.server.HTTP}))
		defer client.Close()
		if got := must[int](t)(pawl.Run(l.context(), client, double, 21)); got != 42 {
			t.Errorf("the result is %d", got)
		}
		stop()
	}
}

func TestAnAddressElsewhereIsNotFollowed(t *testing.T) {
	t.Parallel()
	var told string
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"grpcUrl": %q}`, told)
	}))
	defer liar.Close()
	for _, told = range []string{"http://other.example:50051", "https://127.0.0.1:50051", "nonsense"} {
		client := must[*pawl.Client](t)(pawl.NewClient(pawl.ClientOptions{URL: liar.URL, RetryFor: time.Nanosecond}))
		_, _, err := client.List(context.Background(), pawl.ListOptions{})
		if err == nil || !strings.Contains(err.Error(), "PAWL_GRPC_URL") {
			t.Errorf("%s: %v", told, err)
		}
		client.Close()
	}
}
