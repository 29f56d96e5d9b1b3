/** What is generated: a program of the conformance language, and what is done to its run from outside. */

export interface Operation {
  readonly op: string;
  readonly [field: string]: unknown;
}

export type Block = readonly Operation[];

/** Done to a run this many ms after its start; it has no effect on what the run has passed by then. */
export type Deed =
  | { readonly atMs: number; readonly signal: string; readonly id: string; readonly value: unknown }
  /** To the URL of that callback, as soon as there is one. */
  | { readonly atMs: number; readonly post: string; readonly value: unknown }
  | { readonly atMs: number; readonly do: "cancel" | "pause" | "resume" };

export interface Spec {
  /** One for each deploy. */
  readonly programs: readonly Block[];
  readonly deeds: readonly Deed[];
  /** How often the run is retried if it has failed; default 0. */
  readonly retries?: number;
  /** What questions are answered with, by their text. */
  readonly answers: Readonly<Record<string, unknown>>;
}

/** Done to all processes of a round, this many ms after its start. */
export interface Fault {
  readonly atMs: number;
  readonly what: "killWorkers" | "stopWorkers" | "freezeWorkers" | "deploy" | "killServer";
  /** How long workers are frozen. */
  readonly forMs: number;
}

/** The lists of operations that an operation has in it, with how to put others in their place. */
export function blocksOf(operation: Operation): (readonly [Block, (block: Block) => Operation])[] {
  const found: (readonly [Block, (block: Block) => Operation])[] = [];
  for (const field of ["do", "catch", "finally"]) {
    const block = operation[field];
    if (isBlock(block)) found.push([block, (other) => ({ ...operation, [field]: other })]);
  }
  const { branches } = operation;
  if (isRecord(branches)) {
    for (const [name, block] of Object.entries(branches)) {
      if (!isBlock(block)) continue;
      found.push([block, (other) => ({ ...operation, branches: { ...branches, [name]: other } })]);
    }
  }
  if (Array.isArray(operation.programs) && isBlock(operation.programs[0])) {
    found.push([operation.programs[0], (other) => ({ ...operation, programs: [other] })]);
  }
  return found;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isBlock(value: unknown): value is Block {
  return Array.isArray(value) && value.every((one) => isRecord(one) && typeof one.op === "string");
}

/** What the interpreters read from an operation; a program is generated, so others are faults in here. */
export function blockOf(value: unknown): Block {
  if (isBlock(value)) return value;
  throw new TypeError(`This is no list of operations: ${JSON.stringify(value)}`);
}
