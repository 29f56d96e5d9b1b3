import type { Lease } from "../model/run.ts";
import type { AdmissionWrite } from "./admission.ts";
import type { NewChunk } from "./deltas.ts";
import type { DueWrite } from "./due.ts";
import type { PayloadWrite } from "./payloads.ts";
import type { ReadyRow } from "./runs.ts";
import type { WaitChanges } from "./waits.ts";

/**
 * What features change about a run besides its row and its journal. Each has a part in both stores,
 * which alone knows its tables; all that lies between a decision and the parts passes changes on
 * without knowing them.
 */
export interface Changes {
  /** Puts the run into its ready queue, or takes it out. */
  readonly ready: ReadyRow | "remove";
  /** Gives the run a lease, or takes it away. */
  readonly lease: Lease | "remove";
  readonly due: DueWrite;
  /** What becomes of its open waits. */
  readonly waits: WaitChanges;
  readonly payloads: PayloadWrite;
  /** Deltas of the run that came before this write: they belong after `expect.seq`. */
  readonly deltas: readonly NewChunk[];
  /** What the write means for the run at its gates; absent for runs without limits. */
  readonly admission: AdmissionWrite;
  /** The replica whose session holds the run, when that is not this one. */
  readonly nudge: string;
}

export type Change = keyof Changes;

/** Of a step of a running run, mostly. */
export const NO_CHANGES: Partial<Changes> = Object.freeze({});
