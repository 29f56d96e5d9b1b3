import type { Intent } from "../model/run.ts";

/** What a decision on a run rests on. */
export interface RunVersion {
  readonly fence: number;
  readonly seq: number;
  /**
   * Compared where the header is patched, and there only where it is given: who pauses a run that
   * is held changes neither fence nor seq, and must not be overwritten.
   */
  readonly intent?: Intent;
}
