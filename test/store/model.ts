/** What a store is, in the simplest words: maps in memory. Random tests compare the real ones to it. */
import type { Entry } from "../../server/src/model/entry.ts";
import type { Lease, RunHeader } from "../../server/src/model/run.ts";
import type { DueItem, DueRow } from "../../server/src/store/due.ts";
import type {
  Batch,
  BatchResult,
  ClaimedRun,
  ClaimRequest,
  ReadyRow,
  RunWrite,
} from "../../server/src/store/runs.ts";

interface ModelRun {
  header: Omit<RunHeader, "lease">;
  readonly entries: Entry[];
  lease: Lease | null;
  ready: ReadyRow | undefined;
  readonly due: Map<string, DueItem>;
  readonly nudges: Set<string>;
  readonly refs: Set<string>;
}

export class Model {
  readonly runs = new Map<string, ModelRun>();
  readonly payloads = new Set<string>();

  commit(batch: Batch): BatchResult {
    const confirmed = batch.writes.map((write) => this.#apply(write));
    const elsewhere = batch.writes.flatMap((write, i) =>
      confirmed[i] ? (write.changes.due?.elsewhere ?? []) : [],
    );
    for (const { runId, row } of elsewhere) putDue(this.runs.get(runId), row);
    const claimed = batch.claims.map((request) => this.#claim(request, batch.now));
    return { confirmed, recorded: [], claimed };
  }

  header(runId: string): RunHeader | undefined {
    const run = this.runs.get(runId);
    return run && { ...run.header, lease: run.lease };
  }

  #apply(write: RunWrite): boolean {
    const { runId, expect } = write;
    const { ready, lease, nudge, due, payloads } = write.changes;
    const { put = [], refs = [] } = payloads ?? {};
    const before = this.runs.get(runId);
    const fresh = new Set(put.map(({ sha256 }) => sha256));
    const lacks = refs.some((r) => !fresh.has(r.sha256) && !this.payloads.has(r.sha256));
    if (lacks) return false;
    if (expect === null ? before !== undefined : !isAt(before, expect)) return false;
    if (write.deleteRun === true) {
      this.runs.delete(runId);
      return true;
    }
    const run = before ?? makeRun(write);
    this.runs.set(runId, run);
    const { seq, updatedAt } = write;
    run.header = { ...run.header, ...write.patch, seq, updatedAt };
    run.entries.push(...write.entries);
    for (const { sha256 } of put) this.payloads.add(sha256);
    for (const { sha256 } of refs) run.refs.add(sha256);
    if (ready !== undefined) run.ready = ready === "remove" ? undefined : ready;
    if (lease !== undefined) run.lease = lease === "remove" ? null : lease;
    if (nudge !== undefined) run.nudges.add(nudge);
    if (due?.isCleared === true) run.due.clear();
    for (const { kind, key, upTo = Number.POSITIVE_INFINITY } of due?.remove ?? []) {
      if ((run.due.get(`${kind} ${key}`)?.at ?? 0) <= upTo) run.due.delete(`${kind} ${key}`);
    }
    for (const row of due?.put ?? []) putDue(run, row);
    return true;
  }

  #claim({ queues, lanes, slots, until }: ClaimRequest, now: number): ClaimedRun[] {
    const candidates = [...this.runs.values()].flatMap((run) => {
      const { ready } = run;
      if (ready === undefined) return [];
      return queues.includes(ready.queue) && lanes.includes(ready.lane) ? [{ run, ready }] : [];
    });
    candidates.sort(
      (a, b) =>
        a.ready.rank - b.ready.rank ||
        a.ready.readyAt - b.ready.readyAt ||
        (a.run.header.runId < b.run.header.runId ? -1 : 1),
    );
    return slots.flatMap((slot, i) => {
      const run = candidates[i]?.run;
      if (run === undefined) return [];
      const { fence, attempt, startedAt } = run.header;
      run.header = {
        ...run.header,
        status: "RUNNING",
        fence: fence + 1,
        attempt: attempt + 1,
        startedAt: startedAt === 0 ? now : startedAt,
        updatedAt: now,
      };
      run.lease = { ...slot, until };
      run.ready = undefined;
      run.due.delete("queue ");
      return [{ header: { ...run.header, lease: run.lease }, entries: run.entries.slice() }];
    });
  }
}

function isAt(run: ModelRun | undefined, expect: { fence: number; seq: number }): boolean {
  return run?.header.fence === expect.fence && run.header.seq === expect.seq;
}

function makeRun({ insert }: RunWrite): ModelRun {
  if (insert === undefined) throw new Error("A new run needs a header.");
  const { lease: _, ...header } = insert;
  return {
    header,
    entries: [],
    lease: null,
    ready: undefined,
    due: new Map(),
    nudges: new Set(),
    refs: new Set(),
  };
}

function putDue(run: ModelRun | undefined, row: DueRow): void {
  if (run === undefined) return;
  const { org, runId } = run.header;
  run.due.set(`${row.kind} ${row.key}`, { org, subject: { kind: "run", id: runId }, ...row });
}
