import type { AdmissionWrite } from "./admission.ts";
import type { NewChunk } from "./deltas.ts";
import type { DueWrite } from "./due.ts";
import type { PayloadWrite } from "./payloads.ts";
import type { RowChanges } from "./row-parts.ts";
import type { ReadyRow } from "./runs.ts";

/**
 * What features change about a run besides its row and its journal. Each has a part in both stores,
 * which alone knows its tables; all that lies between a decision and the parts passes changes on
 * without knowing them.
 */
export interface Changes extends RowChanges {
  /**
   * The place that the run would have in its ready queue: the write applies only if no run is in that
   * lane with the same or a better rank. For a run that a worker is given with the write.
   */
  readonly vacancy: ReadyRow;
  readonly due: DueWrite;
  readonly payloads: PayloadWrite;
  /** Deltas of the run that came before this write: they belong after `expect.seq`. */
  readonly deltas: readonly NewChunk[];
  /** What the write means for the run at its gates; absent for runs without limits. */
  readonly admission: AdmissionWrite;
}

export type Change = keyof Changes;

/** The changes of most writes, such as a step of a running run. */
export const NO_CHANGES: Partial<Changes> = Object.freeze({});
