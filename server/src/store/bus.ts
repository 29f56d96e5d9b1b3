import type { Written } from "./deltas.ts";

/** How servers that share a store wake each other. All of it may be lost: it costs latency only. */
export interface ReplicaBus {
  /** Takes the runs that other replicas changed while a session of this one holds them. */
  takeNudges(replicaId: string): Promise<{ org: string; runId: string }[]>;
  /** Tells the other replicas what was written; loses nothing but latency when it fails. */
  wake(what: Written): Promise<void>;
  /** Calls back when another replica woke this one, and after the connection was lost and found. */
  onWake(listener: (what: Written) => void): void;
}
