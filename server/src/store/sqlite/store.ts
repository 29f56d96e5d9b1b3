import type { Tenant } from "../../model/caller.ts";
import type { Entry } from "../../model/entry.ts";
import type { PayloadBlob } from "../../model/payload.ts";
import type { RunHeader } from "../../model/run.ts";
import type * as d from "../deltas.ts";
import type { Admission, ReadyQueue } from "../flow.ts";
import type * as s from "../store.ts";
import type { WaitFilter, WaitPage } from "../wait.ts";
import type { Link, SqliteSettings } from "./link.ts";

/**
 * The embedded store: one SQLite file for one server.
 *
 * @param settings.thread whether the database has a thread of its own; on the main thread each
 *   commit blocks the event loop until the disk has it
 * @throws StartupError
 */
export async function openSqliteStore(
  settings: SqliteSettings & { readonly thread: boolean },
): Promise<s.Store> {
  if (settings.thread) {
    const { ThreadLink } = await import("./thread-link.ts");
    return new SqliteStore(await ThreadLink.open(settings));
  }
  const { MainLink } = await import("./link.ts");
  return new SqliteStore(new MainLink(settings));
}

class SqliteStore implements s.Store {
  readonly kind = "sqlite";
  readonly replicas = false;
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  commit(batch: s.Batch): Promise<s.BatchResult> {
    return this.#link.commit(batch);
  }

  loadRuns(refs: readonly s.LoadRef[]): Promise<(s.LoadedRun | undefined)[]> {
    return this.#link.call("loadRuns", refs);
  }

  readJournal(
    caller: Tenant,
    runId: string,
    after: number,
    limit: s.PageLimit,
  ): Promise<s.JournalPage> {
    return this.#link.call("readJournal", caller, runId, after, limit);
  }

  readEntries(
    caller: Tenant,
    runId: string,
    seqs: readonly number[],
  ): Promise<(Entry | undefined)[]> {
    return this.#link.call("readEntries", caller, runId, seqs);
  }

  listRuns(caller: Tenant, filter: s.RunFilter): Promise<s.RunPage> {
    return this.#link.call("listRuns", caller, filter);
  }

  listWaits(caller: Tenant, filter: WaitFilter): Promise<WaitPage> {
    return this.#link.call("listWaits", caller, filter);
  }

  secret(caller: Tenant, name: string, candidate?: string): Promise<string | undefined> {
    return this.#link.call("secret", caller, name, candidate);
  }

  /** There is nobody to hold it against. */
  due(now: number, limit: number): Promise<s.DuePage> {
    return this.#link.call("due", now, limit);
  }

  admit(now: number, runsMax: number): Promise<Admission> {
    return this.#link.call("admit", now, runsMax);
  }

  readyQueues(rowsMax: number): Promise<ReadyQueue[]> {
    return this.#link.call("readyQueues", rowsMax);
  }

  expiredLeases(now: number, limit: number): Promise<s.LeasedRun[]> {
    return this.#link.call("expiredLeases", now, limit);
  }

  listLeases(
    after: { org: string; runId: string } | undefined,
    limit: number,
  ): Promise<s.LeasedRun[]> {
    return this.#link.call("listLeases", after, limit);
  }

  renewSession(sessionId: string, until: number): Promise<s.LeasedRun[]> {
    return this.#link.call("renewSession", sessionId, until);
  }

  renewLeases(
    caller: Tenant,
    leases: readonly { runId: string; fence: number }[],
    until: number,
  ): Promise<(s.LeasedRun | undefined)[]> {
    return this.#link.call("renewLeases", caller, leases, until);
  }

  registerWorkflows(caller: Tenant, specs: readonly s.WorkflowRow[]): Promise<void> {
    return this.#link.call("registerWorkflows", caller, specs);
  }

  listWorkflows(caller: Tenant): Promise<s.WorkflowRow[]> {
    return this.#link.call("listWorkflows", caller);
  }

  putWorker(caller: Tenant, worker: s.WorkerRow): Promise<void> {
    return this.#link.call("putWorker", caller, worker);
  }

  listWorkers(caller: Tenant, since: number, limit: number): Promise<s.WorkerRow[]> {
    return this.#link.call("listWorkers", caller, since, limit);
  }

  sweepWorkers(before: number): Promise<void> {
    return this.#link.call("sweepWorkers", before);
  }

  countLeases(caller: Tenant): Promise<Map<string, number>> {
    return this.#link.call("countLeases", caller);
  }

  putPayload(caller: Tenant, blob: PayloadBlob, now: number): Promise<void> {
    return this.#link.call("putPayload", caller, blob, now);
  }

  getPayload(
    caller: Tenant,
    sha256: string,
    offset: number,
    limit: number,
  ): Promise<{ data: Uint8Array; size: number } | undefined> {
    return this.#link.call("getPayload", caller, sha256, offset, limit);
  }

  sweepPayloads(before: number, limit: number): Promise<number> {
    return this.#link.call("sweepPayloads", before, limit);
  }

  putDeltas(chunks: readonly d.PutDeltas[]): Promise<d.PutDeltasResult[]> {
    return this.#link.call("putDeltas", chunks);
  }

  readDeltas(
    caller: Tenant,
    runId: string,
    after: d.DeltaPlace,
    limit: s.PageLimit,
  ): Promise<{ chunks: d.DeltaChunk[]; more: boolean }> {
    return this.#link.call("readDeltas", caller, runId, after, limit);
  }

  deltaHeads(caller: Tenant, runId: string): Promise<d.DeltaHead[]> {
    return this.#link.call("deltaHeads", caller, runId);
  }

  deltaRuns(
    after: { org: string; runId: string } | undefined,
    limit: number,
  ): Promise<{ org: string; runId: string }[]> {
    return this.#link.call("deltaRuns", after, limit);
  }

  deleteDeltas(caller: Tenant, runId: string, chunks: readonly d.ChunkName[]): Promise<void> {
    return this.#link.call("deleteDeltas", caller, runId, chunks);
  }

  runMarks(refs: readonly { org: string; runId: string }[]): Promise<(d.RunMark | undefined)[]> {
    return this.#link.call("runMarks", refs);
  }

  endedSince(
    caller: Tenant,
    after: { endedAt: number; runId: string },
    limit: number,
  ): Promise<RunHeader[]> {
    return this.#link.call("endedSince", caller, after, limit);
  }

  takeNudges(replicaId: string): Promise<{ org: string; runId: string }[]> {
    return this.#link.call("takeNudges", replicaId);
  }

  /** There are no other replicas. */
  async wake(what: d.Written): Promise<void> {
    await Promise.resolve(what);
  }

  onWake(listener: (what: d.Written) => void): void {
    void listener;
  }

  ping(writes?: boolean): Promise<void> {
    return this.#link.call("ping", writes);
  }

  close(): Promise<void> {
    return this.#link.close();
  }
}
