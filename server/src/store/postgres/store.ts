import type pg from "pg";
import type { Written } from "../deltas.ts";
import { int } from "../row.ts";
import type { Batch, BatchResult } from "../runs.ts";
import type { Store } from "../store.ts";
import { StoreError } from "../store-error.ts";
import { isHot } from "../write.ts";
import { claimStatement, toClaimedRuns } from "./claim.ts";
import { writeStatement } from "./commit.ts";
import type { Statement } from "./connection.ts";
import { Connection } from "./connection.ts";
import { type InputTypes, readInputTypes } from "./input.ts";
import { migrateAtStart } from "./migrate.ts";
import { operationsOver } from "./operations.ts";
import { inLockOrder, writeRecord } from "./records.ts";
import { ReplanSchedule } from "./replan.ts";
import { ANSWER_MS, HOT_SESSION, LIST_ANSWER_MS, LIST_SESSION } from "./sessions.ts";
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
export async function openPostgresStore(settings: PostgresSettings): Promise<Store> {
  const connections = new Connections(settings);
  await connections.open();
  return {
    kind: "postgres",
    replicas: true,
    ...operationsOver(connections),
    commit: (batch) => connections.commit(batch),
    wake: (what) => connections.wake(what),
    onWake: (listener) => connections.onWake(listener),
    close: () => connections.close(),
  };
}

/**
 * Four connections: one for commits, one for point reads, so that neither waits for the other; one
 * for lists, which may take longer; one that listens. All are pipelined, so that none needs a pool.
 */
class Connections {
  readonly commits: Connection;
  readonly reads: Connection;
  readonly lists: Connection;
  readonly #listen: Connection;
  readonly #replan = new ReplanSchedule();
  readonly #notices = new Notices((text) => this.reads.one({ text }));
  readonly #onMessage: (message: string) => void;
  types: InputTypes = new Map();
  #isLost = false;
  /** The backend that our own notifications come from. */
  #ownPid: number | undefined;
  #listener: ((what: Written) => void) | undefined;

  constructor({ url, migrate, onMessage }: PostgresSettings) {
    this.#onMessage = onMessage;
    const hot = { url, session: HOT_SESSION, answerMs: ANSWER_MS };
    this.commits = new Connection({
      ...hot,
      role: "commits",
      prepare: async (client) => {
        await migrateAtStart(client, migrate);
        this.types = await readInputTypes(client);
      },
      onUp: () => this.#found(),
      onDown: (cause) => this.#lost(cause),
    });
    this.reads = new Connection({
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
    this.lists = new Connection({ ...slow, role: "lists" });
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
      await this.commits.open();
      await Promise.all([this.reads.open(), this.lists.open(), this.#listen.open()]);
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

  async commit(batch: Batch): Promise<BatchResult> {
    const { writes, records = [], claims, now } = batch;
    this.commits.mustBeUp(); // The types of its input are known then.
    const statements: Statement[] = [];
    if (writes.length > 0) statements.push(writeStatement(batch, this.types));
    const ordered = inLockOrder(records);
    for (const [, write] of ordered) statements.push(writeRecord(write));
    for (const request of claims) statements.push(claimStatement(request, now));
    if (statements.length === 0) return { confirmed: [], recorded: [], claimed: [] };
    const isTransaction = statements.length > 1;
    const before: Statement[] = [];
    if (this.#replan.isDue(writes.filter((write) => !isHot(write)).length)) {
      before.push(DISCARD_PLANS);
      // A connection that is down has no plans; one that comes up makes new ones.
      this.reads.one(DISCARD_PLANS).catch(() => undefined);
    }
    if (isTransaction) before.push({ text: "BEGIN" });
    const results = await this.commits.run([
      ...before,
      ...statements,
      ...(isTransaction ? [{ text: "COMMIT" }] : []),
    ]);
    const rows = results.slice(before.length, before.length + statements.length);
    const confirmed = writes.map(() => false);
    if (writes.length > 0) {
      for (const row of rows.shift() ?? []) confirmed[int(row, "ord")] = true;
    }
    const recorded = records.map(() => false);
    for (const [index] of ordered) recorded[index] = (rows.shift() ?? []).length === 1;
    return { confirmed, recorded, claimed: rows.map(toClaimedRuns) };
  }

  async wake(what: Written): Promise<void> {
    if (!this.commits.isUp) throw new StoreError("PostgreSQL: not connected, nobody was woken.");
    this.#notices.wake(what);
  }

  onWake(listener: (what: Written) => void): void {
    this.#listener = listener;
  }

  async close(): Promise<void> {
    this.#notices.close();
    this.#replan.close();
    const all = [this.commits, this.reads, this.lists, this.#listen];
    await Promise.all(all.map((connection) => connection.close()));
  }
}
