import { type Duration, durationMs } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { limits } from "../limits.ts";

/** When the attempts of a step follow one another. Made by the functions below. */
export type Backoff =
  | {
      readonly kind: "exponential";
      readonly initialMs: number;
      readonly coefficient: number;
      readonly maxMs: number | undefined;
    }
  | {
      readonly kind: "linear";
      readonly initialMs: number;
      readonly incrementMs: number;
      readonly maxMs: number | undefined;
    }
  | { readonly kind: "constant"; readonly initialMs: number }
  | { readonly kind: "delays"; readonly delaysMs: readonly number[] };

function seconds(name: string, value: number, least: number): number {
  if (!Number.isFinite(value) || value < least) {
    throw new UsageError(
      `${name} must be a number of seconds of at least ${least}; it is ${value}`,
    );
  }
  return durationMs(value * 1_000);
}

/**
 * base, base², base³ … seconds, at most `max`: with the defaults 2, 4, 8, 16, 32,
 * 60, 60 … `initial` (seconds, default `base`) sets the first delay apart.
 */
export function exponential(
  options: { readonly base?: number; readonly max?: number; readonly initial?: number } = {},
): Backoff {
  const { base = 2, max = 60, initial = base } = options;
  seconds("base", base, 1);
  return {
    kind: "exponential",
    initialMs: seconds("initial", initial, 0),
    coefficient: base,
    maxMs: seconds("max", max, 0),
  };
}

/** start, start + step, start + 2 step … seconds: by default 1, 2, 3 …; at most `max` if given. */
export function linear(
  options: { readonly start?: number; readonly step?: number; readonly max?: number } = {},
): Backoff {
  const { start = 1, step = 1, max } = options;
  return {
    kind: "linear",
    initialMs: seconds("start", start, 0),
    incrementMs: seconds("step", step, 0),
    maxMs: max === undefined ? undefined : seconds("max", max, 0),
  };
}

/** The same delay each time, in seconds. */
export function constant(delay: number): Backoff {
  return { kind: "constant", initialMs: seconds("delay", delay, 0) };
}

/** These delays one after the other; the last one repeats. */
export function delays(list: readonly Duration[]): Backoff {
  if (list.length === 0 || list.length > limits.delaysMax) {
    throw new UsageError(
      `a list of delays has 1 to ${limits.delaysMax} of them; this one has ${list.length}`,
    );
  }
  return { kind: "delays", delaysMs: list.map(durationMs) };
}
