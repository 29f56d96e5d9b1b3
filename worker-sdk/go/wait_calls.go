package pawl

import (
	"context"
	"strings"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Name distinguishes a sleep from others of its scope, and people what it is for.
type Name string

// Sleep waits for a duration. The server keeps the timer, and no worker holds the run.
func Sleep(ctx context.Context, duration time.Duration, name ...Name) error {
	return sleep(ctx, &pb.WaitSpec{Duration: durationpb.New(max(0, duration))}, duration, name)
}

// SleepUntil waits until a time.
func SleepUntil(ctx context.Context, moment time.Time, name ...Name) error {
	return sleep(ctx, &pb.WaitSpec{Until: timestamppb.New(moment)}, time.Until(moment), name)
}

// SleepCron waits until the next time that matches a cron expression:
// SleepCron(ctx, "0 9 * * MON-FRI", berlin). Without a location it uses UTC. It only works in a run.
func SleepCron(ctx context.Context, cron string, location *time.Location, name ...Name) error {
	zone := "UTC"
	if location != nil {
		zone = location.String()
	}
	if location == time.Local {
		return usage("SleepCron needs a location by name, such as time.LoadLocation makes: what is local differs between workers")
	}
	if strings.TrimSpace(cron) == "" {
		return usage(`SleepCron got an empty cron expression; "0 9 * * *" is every day at 9`)
	}
	if _, inRun := placeOf(ctx); !inRun {
		return usage("SleepCron(%q) needs a run: it was called with a context that is in none", cron)
	}
	return sleep(ctx, &pb.WaitSpec{Cron: cron, TimeZone: zone}, 0, name)
}

func sleep(ctx context.Context, spec *pb.WaitSpec, duration time.Duration, names []Name) error {
	name := "sleep"
	if len(names) > 0 {
		name = string(names[0])
	}
	p, inRun := enter(ctx)
	if inRun {
		_, err := p.run.await(ctx, p.scope, &waitCall{space: spaceSleep, name: name, kind: pb.StepKind_STEP_KIND_SLEEP, spec: spec})
		return err
	}
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
