// Command bench is a worker as a user writes it, measured: `bench STEPS`. It reads one
// line of JSON from standard input, {"address", "slots", "warmUpMs", "measureMs"}, and
// answers with one: {"steps", "ms", "p50", "p99"}, in ms.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pawl.dev/pawl"
)

type command struct {
	Address             string
	Slots               int
	WarmUpMs, MeasureMs int
}

type output struct {
	Text string `json:"text"`
}

// result is what every step of the benches returns: 200 bytes as JSON.
var result = output{strings.Repeat("The catch lets the wheel turn forward. ", 5)[:189]}

// meter counts acknowledged steps in a window of time.
type meter struct {
	mu       sync.Mutex
	from, to time.Time
	last     time.Time
	times    []time.Duration
}

func (m *meter) count(began time.Time) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.from) || now.After(m.to) {
		return
	}
	m.last = now
	m.times = append(m.times, now.Sub(began))
}

func main() {
	slog.SetLogLoggerLevel(slog.LevelWarn)
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure() error {
	steps, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	var c command
	if err := json.NewDecoder(os.Stdin).Decode(&c); err != nil {
		return err
	}
	m := &meter{from: time.Now().Add(time.Duration(c.WarmUpMs) * time.Millisecond)}
	m.to = m.from.Add(time.Duration(c.MeasureMs) * time.Millisecond)
	flow := pawl.NewWorkflow("bench", func(ctx context.Context, _ any) (output, error) {
		for n := range steps {
			began := time.Now()
			_, err := pawl.Step(ctx, fmt.Sprint("step-", n+1), func(context.Context) (output, error) { return result, nil })
			if err != nil {
				return output{}, err
			}
			m.count(began)
		}
		return result, nil
	})
	worker, err := pawl.NewWorker(pawl.WorkerOptions{URL: c.Address, Workflows: []pawl.AnyWorkflow{flow}, Slots: c.Slots})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(context.Background()) }()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Until(m.to)):
	}
	return m.report()
}

func (m *meter) report() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.times) == 0 {
		return errors.New("no step was acknowledged in the measured time")
	}
	slices.Sort(m.times)
	window := m.to.Sub(m.from)
	// Where the work ran out early, the window ends with it.
	if done := m.last.Sub(m.from); done < window*98/100 {
		window = done
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"steps": len(m.times), "ms": ms(window),
		"p50": ms(m.times[len(m.times)/2]), "p99": ms(m.times[len(m.times)*99/100]),
	})
}
