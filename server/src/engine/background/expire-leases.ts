import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { leaseTimeOf } from "../workers/lease-time.ts";
import { type ReleaseParts, release } from "../workers/release-lease.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface ExpireLeasesParts extends ReleaseParts {
  readonly clock: Clock;
}

const LOOK_MS = 1_000;

/** Takes runs back whose leases have expired. */
export function expireLeases(parts: ExpireLeasesParts): BackgroundTask {
  const { store, clock } = parts;
  const lookFor = leaseTimeOf(clock, LOOK_MS);
  return {
    name: "lease",
    periodMs: LOOK_MS,
    async run() {
      const expired = await lookFor((time) => store.expiredLeases(time, BOUNDS.expiredLeases));
      await Promise.all(
        expired.map(({ org, runId, fence, lease: { connectionId } }) =>
          release(parts, { org, runId, fence, connectionId }, "expired"),
        ),
      );
      return expired.length === BOUNDS.expiredLeases ? clock.now() : undefined;
    },
  };
}
