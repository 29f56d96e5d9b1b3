// Command approval asks a manager for larger expenses, and waits for the answer as
// long as it takes: no worker holds the run meanwhile.
//
//	go run ./approval worker               serves expenses, until Ctrl-C
//	go run ./approval request ann 1200     asks for 1200, and prints what becomes of it
//	go run ./approval decide ann yes       the manager's answer, a signal
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"time"

	"pawl.dev/pawl"
)

type Expense struct {
	Who    string `json:"who"`
	Amount int    `json:"amount"`
}

type Decision struct {
	Approved bool   `json:"approved"`
	By       string `json:"by"`
}

const limit = 100

var reimburse = pawl.NewWorkflow("go-expense", func(ctx context.Context, expense Expense) (string, error) {
	decision := Decision{Approved: true, By: "the rules"}
	if expense.Amount > limit {
		if err := pawl.Do(ctx, "ask the manager", func(context.Context) error {
			fmt.Printf("%s asks for %d: decide %s yes, or no?\n", expense.Who, expense.Amount, expense.Who)
			return nil
		}); err != nil {
			return "", err
		}
		var err error
		// Nobody decides for a week: no.
		decision, err = pawl.Signal[Decision](ctx, "decision",
			pawl.Timeout(7*24*time.Hour), pawl.Default(Decision{By: "nobody in time"}))
		if err != nil {
			return "", err
		}
	}
	if !decision.Approved {
		return "refused by " + decision.By, nil
	}
	return pawl.Step(ctx, "pay", func(context.Context) (string, error) {
		return fmt.Sprintf("%d paid, approved by %s", expense.Amount, decision.By), nil
	})
}, pawl.WorkflowOptions{ID: "expense-{who}"})

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == "worker" {
		worker, err := pawl.NewWorker(pawl.WorkerOptions{Workflows: []pawl.AnyWorkflow{reimburse}})
		if err != nil {
			return err
		}
		return worker.Run(ctx)
	}
	if len(args) != 3 {
		return errors.New("usage: approval worker | approval request WHO AMOUNT | approval decide WHO yes|no")
	}
	client, err := pawl.NewClient(pawl.ClientOptions{})
	if err != nil {
		return err
	}
	defer client.Close()
	if args[0] == "decide" {
		decision := Decision{Approved: args[2] == "yes", By: "the manager"}
		return pawl.Handle[string](client, "expense-"+args[1]).Signal(ctx, "decision", decision)
	}
	amount, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	handle, err := pawl.Start(ctx, client, reimburse, Expense{args[1], amount})
	if err != nil {
		return err
	}
	outcome, err := handle.Result(ctx)
	fmt.Println(outcome)
	return err
}
