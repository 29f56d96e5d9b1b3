/** What a store knows of the limits of runs. */
import type { ReadyRow } from "./runs.ts";

/** A limit that runs pass one by one, by the name of which they share it. */
export interface Gate {
  readonly name: string;
  /** Runs that may have passed at once; with `periodMs`, in any such period. */
  readonly capacity: number;
  /** 0: a run that passed counts until it stops: waits, is paused, or ends. */
  readonly periodMs: number;
  /** Whether this is to replace the capacity and period that are there. */
  readonly isLatest: boolean;
}

export interface AdmissionWrite {
  /** Holds the run back, to be put into its ready queue by `admit`. */
  readonly hold?: {
    readonly gate: string;
    /** The gate behind that one, for which the run holds until it is let through; empty: none. */
    readonly nextGate: string;
    /** The capacity of that gate, in case it is not there by then. */
    readonly nextCapacity: number;
    readonly heldAt: number;
    /** Runs with the same rank pass in turns, one of each fairness key. */
    readonly fair: string;
    readonly ready: ReadyRow;
  };
  /** Gives back the permits that have no end, and the place before a gate. */
  readonly leave?: true;
  /** The gates that `admit` must look at; they are made where they are missing. */
  readonly gates: readonly Gate[];
}

export interface Admission {
  /** Runs that were let pass one gate at least. */
  readonly admitted: number;
  /** When to call again. */
  readonly nextAt: number | undefined;
}

export interface AdmissionStore {
  /**
   * Lets runs pass the gates that have something to do, as far as the limits allow: best first by
   * rank, turn, the time since when they are held, and run id; `runsMax` at each gate. A run that
   * has passed its last gate is in its ready queue, since `now`; its fence is one higher and its
   * reason is gone.
   */
  admit(now: number, runsMax: number): Promise<Admission>;
}
