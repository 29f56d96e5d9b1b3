import type { Tenant } from "../model/caller.ts";

/** The workflows that workers have registered, and the workers. */
export interface RegistryStore {
  /** Lists workflows by name. Registrations are records (see records.ts). */
  listWorkflows(caller: Tenant): Promise<WorkflowRow[]>;
  /** Inserts or replaces a worker by the id of its process. */
  putWorker(caller: Tenant, worker: WorkerRow): Promise<void>;
  /** Seen since then, latest first. */
  listWorkers(caller: Tenant, since: number, limit: number): Promise<WorkerRow[]>;
  /** Deletes workers that were last seen before then. */
  sweepWorkers(before: number): Promise<void>;
}

export interface WorkflowRow {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** JSON Schema as JSON text; empty: none. */
  readonly inputSchema: string;
  readonly outputSchema: string;
  /** JSON text of an object. */
  readonly metadata: string;
  /** The limits of its runs (`FlowControl`) as JSON text; empty: none. */
  readonly flow: string;
  /** The time limits of its runs (`RunTimeouts`) as JSON text; empty: none. */
  readonly timeouts: string;
  /** Ever registered, newest last. */
  readonly versions: readonly string[];
  readonly registeredAt: number;
}

export interface WorkerRow {
  readonly workerId: string;
  readonly instanceId: string;
  readonly connected: boolean;
  readonly seenAt: number;
  /** JSON text: language, versions, workflows, queues, labels, slots. */
  readonly info: string;
}
