import type pg from "pg";
import type { Tenant } from "../../model/caller.ts";
import type { Entry } from "../../model/entry.ts";
import type { PayloadBlob } from "../../model/payload.ts";
import type { RunHeader } from "../../model/run.ts";
import type * as d from "../deltas.ts";
import type { Admission, ReadyQueue } from "../flow.ts";
import { int } from "../row.ts";
import type * as s from "../store.ts";
import { StoreError } from "../store.ts";
import type { WaitFilter, WaitPage } from "../wait.ts";
import { isHot } from "../write.ts";
import { admit } from "./admit.ts";
import { claimStatement, toClaimedRuns } from "./claim.ts";
import { writeStatement } from "./commit.ts";
import type { Statement } from "./connection.ts";
import { Connection } from "./connection.ts";
import {
  deleteDeltas,
  deltaHeads,
  deltaRuns,
  endedSince,
  putDeltas,
  readDeltas,
  runMarks,
} from "./deltas.ts";
import { readDue } from "./due.ts";
import { type InputTypes, readInputTypes } from "./input.ts";
import { loadRuns, readEntries, readJournal } from "./journal.ts";
import { countLeases, expiredLeases, listLeases, renewLeases, renewSession } from "./leases.ts";
import { migrateAtStart } from "./migrate.ts";
import { takeNudges } from "./nudges.ts";
import { getPayload, putPayload, sweepPayloads } from "./payloads.ts";
import { tryRead, tryWrite } from "./ping.ts";
import { readReadyQueues } from "./ready.ts";
import {
  listWorkers,
  listWorkflows,
  putWorker,
  registerWorkflows,
  sweepWorkers,
} from "./registry.ts";
import { ReplanSchedule } from "./replan.ts";
import { listRuns } from "./runs.ts";
import { ANSWER_MS, HOT_SESSION, LIST_ANSWER_MS, LIST_SESSION } from "./sessions.ts";
import { listWaits, secret } from "./waits.ts";
import { LISTEN, Notices } from "./wake.ts";

export interface PostgresSettings {
  readonly url: string;
  /** Whether an older schema is migrated; if not, it is refused. */
  readonly migrate: boolean;
  /** Told when the connection is lost, and when it is found again. */
  readonly onMessage: (message: string) => void;
}

const DISCARD_PLANS: Statement = { text: "DISCARD PLANS" };

/**
 * Opens the PostgreSQL store. A database that cannot be reached is tried again in the background;
 * until it is found, every call rejects at once.
 *
 * @throws StartupError when it was reached and its schema does not fit
 */
export async function openPostgresStore(settings: PostgresSettings): Promise<s.Store> {
  const store = new PostgresStore(settings);
  await store.open();
  return store;
}

/**
 * Four connections: one for commits, one for point reads, so that neither waits for the other; one
 * for lists, which may take longer; one that listens. All are pipelined, so that none needs a pool.
 */
class PostgresStore implements s.Store {
  readonly kind = "postgres";
  readonly replicas = true;
  readonly #commits: Connection;
  readonly #reads: Connection;
  readonly #lists: Connection;
  readonly #listen: Connection;
  readonly #replan = new ReplanSchedule();
  readonly #notices = new Notices((text) => this.#reads.one({ text }));
  readonly #onMessage: (message: string) => void;
  #types: InputTypes = new Map();
  #isLost = false;
  /** The backend that our own notifications come from. */
  #ownPid: number | undefined;
  #listener: ((what: d.Written) => void) | undefined;

  constructor({ url, migrate, onMessage }: PostgresSettings) {
    this.#onMessage = onMessage;
    const hot = { url, session: HOT_SESSION, answerMs: ANSWER_MS };
    this.#commits = new Connection({
      ...hot,
      role: "commits",
      prepare: async (client) => {
        await migrateAtStart(client, migrate);
        this.#types = await readInputTypes(client);
      },
      onUp: () => this.#found(),
      onDown: (cause) => this.#lost(cause),
    });
    this.#reads = new Connection({
      ...hot,
      role: "reads",
      prepare: async (client) => {
        const { rows } = await client.query<Record<string, unknown>>(
          "SELECT pg_backend_pid() AS pid",
        );
        this.#ownPid = int(rows[0] ?? {}, "pid");
      },
      onUp: () => this.#notices.hello(),
    });
    const slow = { url, session: LIST_SESSION, answerMs: LIST_ANSWER_MS };
    this.#lists = new Connection({ ...slow, role: "lists" });
    this.#listen = new Connection({
      ...slow,
      role: "listen",
      prepare: async (client) => {
        client.on("notification", (message) => this.#notified(message));
        await client.query(LISTEN);
      },
      onUp: () => {
        this.#notices.hello();
        this.#listener?.("runs");
      },
    });
  }

  async open(): Promise<void> {
    try {
      await this.#commits.open();
      await Promise.all([this.#reads.open(), this.#lists.open(), this.#listen.open()]);
    } catch (cause) {
      await this.close();
      throw cause;
    }
  }

  #lost(cause: unknown): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#onMessage(`PostgreSQL cannot be reached (${reason}). Writes are paused; retrying.`);
  }

  #found(): void {
    if (this.#isLost) this.#onMessage("Reconnected to PostgreSQL. Writes continue.");
    this.#isLost = false;
  }

  #notified({ processId, channel, payload }: pg.Notification): void {
    if (processId === this.#ownPid) return;
    const written = this.#notices.heard(channel, payload);
    if (written !== undefined) this.#listener?.(written);
  }

  async commit(batch: s.Batch): Promise<s.BatchResult> {
    const { writes, claims, now } = batch;
    this.#commits.mustBeUp(); // The types of its input are known then.
    const statements: Statement[] = [];
    if (writes.length > 0) statements.push(writeStatement(batch, this.#types));
    for (const request of claims) statements.push(claimStatement(request, now));
    if (statements.length === 0) return { confirmed: [], claimed: [] };
    const isTransaction = statements.length > 1;
    const before: Statement[] = [];
    if (this.#replan.isDue(writes.filter((write) => !isHot(write)).length)) {
      before.push(DISCARD_PLANS);
      // A connection that is down has no plans; one that comes up makes new ones.
      this.#reads.one(DISCARD_PLANS).catch(() => undefined);
    }
    if (isTransaction) before.push({ text: "BEGIN" });
    const results = await this.#commits.run([
      ...before,
      ...statements,
      ...(isTransaction ? [{ text: "COMMIT" }] : []),
    ]);
    const rows = results.slice(before.length, before.length + statements.length);
    const confirmed = writes.map(() => false);
    if (writes.length > 0) {
      for (const row of rows.shift() ?? []) confirmed[int(row, "ord")] = true;
    }
    return { confirmed, claimed: rows.map(toClaimedRuns) };
  }

  loadRuns(refs: readonly s.LoadRef[]): Promise<(s.LoadedRun | undefined)[]> {
    return loadRuns(this.#reads, refs);
  }

  readJournal(
    { org }: Tenant,
    runId: string,
    after: number,
    limit: s.PageLimit,
  ): Promise<s.JournalPage> {
    return readJournal(this.#reads, org, runId, after, limit);
  }

  readEntries(
    { org }: Tenant,
    runId: string,
    seqs: readonly number[],
  ): Promise<(Entry | undefined)[]> {
    return readEntries(this.#reads, org, runId, seqs);
  }

  listRuns({ org }: Tenant, filter: s.RunFilter): Promise<s.RunPage> {
    return listRuns(this.#lists, org, filter);
  }

  listWaits({ org }: Tenant, filter: WaitFilter): Promise<WaitPage> {
    return listWaits(this.#reads, org, filter);
  }

  secret({ org }: Tenant, name: string, candidate?: string): Promise<string | undefined> {
    return secret(this.#lists, org, name, candidate);
  }

  due(now: number, limit: number, holdUntil?: number): Promise<s.DuePage> {
    return readDue(this.#reads, now, limit, holdUntil);
  }

  admit(now: number, runsMax: number): Promise<Admission> {
    return admit(this.#reads, this.#commits, now, runsMax);
  }

  readyQueues(rowsMax: number): Promise<ReadyQueue[]> {
    return readReadyQueues(this.#lists, rowsMax);
  }

  expiredLeases(now: number, limit: number): Promise<s.LeasedRun[]> {
    return expiredLeases(this.#reads, now, limit);
  }

  listLeases(
    after: { org: string; runId: string } | undefined,
    limit: number,
  ): Promise<s.LeasedRun[]> {
    return listLeases(this.#reads, after, limit);
  }

  renewSession(sessionId: string, until: number): Promise<s.LeasedRun[]> {
    return renewSession(this.#reads, sessionId, until);
  }

  renewLeases(
    { org }: Tenant,
    leases: readonly { runId: string; fence: number }[],
    until: number,
  ): Promise<(s.LeasedRun | undefined)[]> {
    return renewLeases(this.#reads, org, leases, until);
  }

  registerWorkflows({ org }: Tenant, specs: readonly s.WorkflowRow[]): Promise<void> {
    return registerWorkflows(this.#lists, org, specs);
  }

  listWorkflows({ org }: Tenant): Promise<s.WorkflowRow[]> {
    return listWorkflows(this.#lists, org);
  }

  putWorker({ org }: Tenant, worker: s.WorkerRow): Promise<void> {
    return putWorker(this.#lists, org, worker);
  }

  listWorkers({ org }: Tenant, since: number, limit: number): Promise<s.WorkerRow[]> {
    return listWorkers(this.#lists, org, since, limit);
  }

  sweepWorkers(before: number): Promise<void> {
    return sweepWorkers(this.#lists, before);
  }

  countLeases({ org }: Tenant): Promise<Map<string, number>> {
    return countLeases(this.#lists, org);
  }

  putPayload({ org }: Tenant, blob: PayloadBlob, now: number): Promise<void> {
    return putPayload(this.#lists, org, blob, now);
  }

  getPayload(
    { org }: Tenant,
    sha256: string,
    offset: number,
    limit: number,
  ): Promise<{ data: Uint8Array; size: number } | undefined> {
    return getPayload(this.#reads, org, sha256, offset, limit);
  }

  sweepPayloads(before: number, limit: number): Promise<number> {
    return sweepPayloads(this.#lists, before, limit);
  }

  putDeltas(chunks: readonly d.PutDeltas[]): Promise<d.PutDeltasResult[]> {
    return putDeltas(this.#commits, this.#types, chunks);
  }

  readDeltas(
    { org }: Tenant,
    runId: string,
    after: d.DeltaPlace,
    limit: s.PageLimit,
  ): Promise<{ chunks: d.DeltaChunk[]; more: boolean }> {
    return readDeltas(this.#reads, org, runId, after, limit);
  }

  deltaHeads({ org }: Tenant, runId: string): Promise<d.DeltaHead[]> {
    return deltaHeads(this.#reads, org, runId);
  }

  deltaRuns(
    after: { org: string; runId: string } | undefined,
    limit: number,
  ): Promise<{ org: string; runId: string }[]> {
    return deltaRuns(this.#lists, after, limit);
  }

  deleteDeltas({ org }: Tenant, runId: string, chunks: readonly d.ChunkName[]): Promise<void> {
    return deleteDeltas(this.#lists, org, runId, chunks);
  }

  runMarks(refs: readonly { org: string; runId: string }[]): Promise<(d.RunMark | undefined)[]> {
    return runMarks(this.#reads, refs);
  }

  endedSince(
    { org }: Tenant,
    after: { endedAt: number; runId: string },
    limit: number,
  ): Promise<RunHeader[]> {
    return endedSince(this.#lists, org, after, limit);
  }

  takeNudges(replicaId: string): Promise<{ org: string; runId: string }[]> {
    return takeNudges(this.#reads, replicaId);
  }

  async wake(what: d.Written): Promise<void> {
    if (!this.#commits.isUp) throw new StoreError("PostgreSQL: not connected, nobody was woken.");
    this.#notices.wake(what);
  }

  onWake(listener: (what: d.Written) => void): void {
    this.#listener = listener;
  }

  ping(writes?: boolean): Promise<void> {
    return writes === true ? tryWrite(this.#commits) : tryRead(this.#commits);
  }

  async close(): Promise<void> {
    this.#notices.close();
    this.#replan.close();
    const all = [this.#commits, this.#reads, this.#lists, this.#listen];
    await Promise.all(all.map((connection) => connection.close()));
  }
}
