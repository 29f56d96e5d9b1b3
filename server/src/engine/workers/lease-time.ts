/**
 * The time by which leases end. They are dated by the clock, which others share; but if it is set
 * forward, no more time has gone by for the workers than before. And while this server stood still or
 * could not reach its store, the heartbeats that renew leases could not be recorded: they come after
 * it. So for as long as leases last that were given out before, such time does not count.
 */
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";

/** Less is a matter of how the two clocks are read, and of a busy machine. */
const JUMP_MS = 500;

/** Calls `look` with the time by which leases end. A look that fails counts as one that was not made. */
export type LookForLeases = <T>(look: (time: number) => Promise<T>) => Promise<T>;

/** @param periodMs how far apart two looks are as a rule */
export function leaseTimeOf(clock: Clock, periodMs: number): LookForLeases {
  let wall = clock.now();
  let steady = clock.steady();
  let gaps: readonly { readonly by: number; readonly until: number }[] = [];
  return async (look) => {
    const now = clock.now();
    const passed = clock.steady();
    const setForward = now - wall - (passed - steady);
    const stoodStill = passed - steady - periodMs;
    const found = [setForward, stoodStill].filter((by) => by > JUMP_MS);
    const left = [
      ...gaps.filter(({ until }) => until > passed),
      ...found.map((by) => ({ by, until: passed + BOUNDS.leaseMs })),
    ];
    // Times are whole milliseconds for the store, and the steady clock's are not.
    const result = await look(Math.floor(left.reduce((time, { by }) => time - by, now)));
    wall = now;
    steady = passed;
    gaps = left;
    return result;
  };
}
