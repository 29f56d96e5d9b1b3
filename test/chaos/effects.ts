/**
 * The file of side effects: what the step bodies and the workflows of a round did, as one line per
 * event, appended by all workers at once. A line is one write with O_APPEND, so the order of the
 * lines is the order in which it happened, also over processes that were killed a moment later.
 */
import { closeSync, fstatSync, openSync, readFileSync, writeSync } from "node:fs";

/**
 * `executed`: the body of a step started. `acknowledged`: the awaited step returned to user code, so
 * its result had been acknowledged. `refused`: it threw StepFailedError, so its final failure had
 * been. Both also come when a recorded step is replayed.
 */
export type EffectKind = "executed" | "acknowledged" | "refused";

export interface Effect {
  readonly kind: EffectKind;
  readonly run: string;
  readonly key: string;
  /** Of the step, from 1; 0 where it is not known. */
  readonly attempt: number;
  /** Made by the execution whose result this is; differs from one execution to the next. */
  readonly nonce: string;
  readonly pid: number;
  /** In ms since the epoch; for people. */
  readonly at: number;
}

/** Where workflows put their effects. */
export type EffectSink = (
  effect: Pick<Effect, "kind" | "run" | "key" | "attempt" | "nonce">,
) => void;

/** Opens the file for a worker. */
export function openEffects(path: string): EffectSink {
  const file = openSync(path, "a");
  return (effect) => {
    const line: Effect = { ...effect, pid: process.pid, at: Date.now() };
    writeSync(file, `${JSON.stringify(line)}\n`);
  };
}

/** Reads along while others append. */
export class EffectReader {
  readonly #file: number;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "a+");
  }

  /** Grows with each effect. */
  get bytes(): number {
    return fstatSync(this.#file).size;
  }

  /** All effects so far, in their order. */
  read(): Effect[] {
    return parseEffects(readFileSync(this.#path, "utf8"));
  }

  close(): void {
    closeSync(this.#file);
  }
}

export function parseEffects(text: string): Effect[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Effect);
}
