/**
 * The time by which leases end. They are dated by the clock, which others share; but if it is set
 * forward, no more time has gone by for the workers than before. So for as long as leases last that
 * were given out before, what the clock has gained does not count.
 */
import type { Clock } from "../lib/clock.ts";
import { LIMITS } from "../model/limits.ts";

/** Less is a matter of how the two clocks are read. */
const JUMP_MS = 500;

export function leaseTimeOf(clock: Clock): () => number {
  let wall = clock.now();
  let steady = clock.steady();
  let jumps: { readonly by: number; readonly until: number }[] = [];
  return () => {
    const now = clock.now();
    const passed = clock.steady();
    const by = now - wall - (passed - steady);
    if (by > JUMP_MS) jumps.push({ by, until: passed + LIMITS.leaseMs });
    wall = now;
    steady = passed;
    jumps = jumps.filter(({ until }) => until > passed);
    return jumps.reduce((time, jump) => time - jump.by, now);
  };
}
