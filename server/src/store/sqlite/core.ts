import type { BatchResult, Store } from "../store.ts";
import { admit } from "./admit.ts";
import type { ColumnBatch } from "./commit.ts";
import { commit } from "./commit.ts";
import type { Database } from "./database.ts";
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
import { loadRuns, readEntries, readJournal } from "./journal.ts";
import { countLeases, expiredLeases, listLeases, renewLeases, renewSession } from "./leases.ts";
import { takeNudges } from "./nudges.ts";
import { getPayload, storePayload, sweepPayloads } from "./payloads.ts";
import { tryRead, tryWrite } from "./ping.ts";
import { readReadyQueues } from "./ready.ts";
import {
  listWorkers,
  listWorkflows,
  putWorker,
  registerWorkflows,
  sweepWorkers,
} from "./registry.ts";
import { listRuns } from "./runs.ts";
import { listWaits, secret } from "./waits.ts";

/** The store's methods that need the database. */
export type Method = Exclude<keyof Store, "kind" | "replicas" | "wake" | "onWake" | "close">;

/** What each method takes and, once it is there, answers. */
export type Args = { readonly [M in Method]: Parameters<Store[M]> };
export type Results = { readonly [M in Method]: Awaited<ReturnType<Store[M]>> };

/** The same methods, synchronous: what runs in the store's thread, or on the main one. */
export type Core = Queries & { readonly commit: (batch: ColumnBatch) => BatchResult };

type Queries = { readonly [M in Query]: (...args: Args[M]) => Results[M] };

/** All but `commit`, whose batch goes its own way. */
export type Query = Exclude<Method, "commit">;

/** Calls one method by its name. */
export function invoke<M extends Query>(core: Queries, method: M, args: Args[M]): Results[M] {
  return core[method](...args);
}

export function createCore(db: Database): Core {
  return {
    commit: (batch) => commit(db, batch),
    loadRuns: (refs) => loadRuns(db, refs),
    readJournal: ({ org }, runId, after, limit) => readJournal(db, org, runId, after, limit),
    readEntries: ({ org }, runId, seqs) => readEntries(db, org, runId, seqs),
    listRuns: ({ org }, filter) => listRuns(db, org, filter),
    listWaits: ({ org }, filter) => listWaits(db, org, filter),
    secret: ({ org }, name, candidate) => secret(db, org, name, candidate),
    admit: (now, runsMax) => admit(db, now, runsMax),
    due: (now, limit) => readDue(db, now, limit),
    readyQueues: (rowsMax) => readReadyQueues(db, rowsMax),
    expiredLeases: (now, limit) => expiredLeases(db, now, limit),
    listLeases: (after, limit) => listLeases(db, after, limit),
    renewSession: (sessionId, until) => renewSession(db, sessionId, until),
    renewLeases: ({ org }, leases, until) => renewLeases(db, org, leases, until),
    registerWorkflows: ({ org }, specs) => registerWorkflows(db, org, specs),
    listWorkflows: ({ org }) => listWorkflows(db, org),
    putWorker: ({ org }, worker) => putWorker(db, org, worker),
    listWorkers: ({ org }, since, limit) => listWorkers(db, org, since, limit),
    sweepWorkers: (before) => sweepWorkers(db, before),
    countLeases: ({ org }) => countLeases(db, org),
    putPayload: ({ org }, blob, now) => storePayload(db, org, blob, now),
    getPayload: ({ org }, sha256, offset, limit) => getPayload(db, org, sha256, offset, limit),
    sweepPayloads: (before, limit) => sweepPayloads(db, before, limit),
    putDeltas: (chunks) => putDeltas(db, chunks),
    readDeltas: ({ org }, runId, after, limit) => readDeltas(db, org, runId, after, limit),
    deltaHeads: ({ org }, runId) => deltaHeads(db, org, runId),
    deltaRuns: (after, limit) => deltaRuns(db, after, limit),
    deleteDeltas: ({ org }, runId, chunks) => deleteDeltas(db, org, runId, chunks),
    runMarks: (refs) => runMarks(db, refs),
    endedSince: ({ org }, after, limit) => endedSince(db, org, after, limit),
    takeNudges: (replicaId) => takeNudges(db, replicaId),
    ping: (writes) => (writes === true ? tryWrite(db) : tryRead(db)),
  };
}
