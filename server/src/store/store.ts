import type { AdmissionStore } from "./admission.ts";
import type { ReplicaBus } from "./bus.ts";
import type { DeltaStore } from "./deltas.ts";
import type { DueStore } from "./due.ts";
import type { KeyStore } from "./keys.ts";
import type { LeaseStore } from "./leases.ts";
import type { PayloadStore } from "./payloads.ts";
import type { RecordStore } from "./records.ts";
import type { RegistryStore } from "./registry.ts";
import type { RetentionStore } from "./retention.ts";
import type { RunStore } from "./runs.ts";
import type { SecretStore } from "./secrets.ts";
import type { WaitStore } from "./waits.ts";

/**
 * What the engine needs of a database, and all that it knows of one.
 *
 * Invariants, upheld by every implementation and tested by one suite:
 *
 * 1. `commit` is one transaction, durable before it returns (fsync, synchronous commit).
 * 2. A write is applied only if the run's fence and seq are the expected ones (or, for a new
 *    run, if there is none); otherwise nothing of that write is applied, the others are.
 * 3. A run is claimed by at most one slot; a claim raises its fence and attempt by one.
 * 4. Journal entries of a run are numbered without a gap.
 * 5. Every key starts with the organization.
 *
 * All times are in ms since the epoch and come from the caller. A method rejects with
 * `StoreError`; after a rejected `commit` it is unknown whether it was applied, and the engine
 * finds out by reading again.
 */
export interface Store
  extends RunStore,
    LeaseStore,
    DueStore,
    WaitStore,
    AdmissionStore,
    RecordStore,
    RegistryStore,
    PayloadStore,
    DeltaStore,
    RetentionStore,
    SecretStore,
    KeyStore,
    ReplicaBus {
  readonly kind: "sqlite" | "postgres";
  /** Whether several servers may share it. */
  readonly replicas: boolean;

  /** Resolves when a trivial read works, or a trivial write that leaves nothing behind. */
  ping(writes?: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What each dialect implements as a function over its database: all but commits, which go their own way, and the bus. */
export type Operation = Exclude<
  keyof Store,
  "kind" | "replicas" | "commit" | "wake" | "onWake" | "close"
>;
