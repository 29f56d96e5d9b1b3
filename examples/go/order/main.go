// Command order processes orders. Each item is reserved, the card is charged, the
// parcel is shipped; when the card is declined, what was reserved is released.
//
//	go run ./order worker                      serves orders, until Ctrl-C
//	go run ./order place 4711 chain gear       places an order and waits for it
//
// Kill the worker in the middle and start it again: no card is charged twice.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"pawl.dev/pawl"
)

type Order struct {
	ID    string   `json:"id"`
	Card  string   `json:"card"`
	Items []string `json:"items"`
}

type Receipt struct {
	Payment, Parcel string
}

// Declined is an error that the workflow tells from others, also when it is replayed.
type Declined struct{ Card string }

func (d *Declined) Error() string { return "the card " + d.Card + " was declined" }

var process = pawl.NewWorkflow("go-order", func(ctx context.Context, order Order) (Receipt, error) {
	reserved, err := pawl.Map(ctx, "reserve", order.Items, func(ctx context.Context, item string) (string, error) {
		return pawl.Step(ctx, "item", func(ctx context.Context) (string, error) { return warehouse("reserve", item) })
	}, pawl.ItemKey(func(item string) string { return item }))
	if err != nil {
		return Receipt{}, err
	}
	payment, err := pawl.Step(ctx, "charge", func(ctx context.Context) (string, error) { return charge(ctx, order) },
		pawl.Retry{MaxAttempts: 5, Backoff: pawl.Exponential(2, time.Minute)})
	var declined *Declined
	if errors.As(err, &declined) {
		for _, item := range reserved {
			if err := pawl.Do(ctx, "release", func(context.Context) error {
				_, err := warehouse("release", item)
				return err
			}, pawl.Key(item)); err != nil {
				return Receipt{}, err
			}
		}
	}
	if err != nil {
		return Receipt{}, err
	}
	if err := pawl.Sleep(ctx, time.Second, "packing"); err != nil {
		return Receipt{}, err
	}
	parcel, err := pawl.Step(ctx, "ship", func(ctx context.Context) (string, error) { return warehouse("ship", order.ID) })
	return Receipt{payment, parcel}, err
}, pawl.WorkflowOptions{ID: "order-{id}"})

// charge stands for a payment API, which takes the key to tell repetitions by.
func charge(ctx context.Context, order Order) (string, error) {
	attempt, _ := pawl.CurrentAttempt(ctx)
	fmt.Println("charge", attempt.IdempotencyKey)
	if order.Card == "stolen" {
		return "", pawl.Terminal(&Declined{order.Card})
	}
	return "payment for " + order.ID, nil
}

// warehouse stands for the system of the people who pack.
func warehouse(what, thing string) (string, error) {
	fmt.Println(what, thing)
	return thing, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == "worker" {
		worker, err := pawl.NewWorker(pawl.WorkerOptions{Workflows: []pawl.AnyWorkflow{process}})
		if err != nil {
			return err
		}
		return worker.Run(ctx)
	}
	if len(args) < 3 || args[0] != "place" {
		return errors.New("usage: order worker | order place CARD ITEM…")
	}
	client, err := pawl.NewClient(pawl.ClientOptions{})
	if err != nil {
		return err
	}
	defer client.Close()
	// The same order again is the same run: asking twice orders once.
	order := Order{ID: args[1] + "-" + args[2], Card: args[1], Items: args[2:]}
	handle, err := pawl.Start(ctx, client, process, order)
	if err != nil {
		return err
	}
	receipt, err := handle.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s, parcel %s\n", handle.RunID, receipt.Payment, receipt.Parcel)
	return nil
}
