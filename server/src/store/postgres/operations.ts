import type { Operation, Store } from "../store.ts";
import { admit } from "./admit.ts";
import type { Connection } from "./connection.ts";
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
import type { InputTypes } from "./input.ts";
import { loadRuns, readEntries, readJournal } from "./journal.ts";
import { accessState, findKey, listKeys, putKey, revokeKey, touchKeys } from "./keys.ts";
import { countLeases, expiredLeases, listLeases, renewLeases, renewSession } from "./leases.ts";
import { takeNudges } from "./nudges.ts";
import { getPayload, putPayload, sweepPayloads } from "./payloads.ts";
import { ping } from "./ping.ts";
import { readReadyQueues } from "./ready.ts";
import { loadRecords } from "./records.ts";
import { listWorkers, listWorkflows, putWorker, sweepWorkers } from "./registry.ts";
import { endedRuns, shrink } from "./retention.ts";
import { listRuns } from "./runs.ts";
import { secret } from "./secrets.ts";
import { listWaits } from "./waits.ts";

/** On which connection each operation works. */
export function operationsOver(to: {
  readonly commits: Connection;
  readonly reads: Connection;
  readonly lists: Connection;
  readonly types: InputTypes;
}): Pick<Store, Operation> {
  const { commits, reads, lists } = to;
  const on =
    <A extends readonly unknown[], R>(db: Connection, run: (db: Connection, ...args: A) => R) =>
    (...args: A): R =>
      run(db, ...args);
  return {
    loadRuns: on(reads, loadRuns),
    readJournal: on(reads, readJournal),
    readEntries: on(reads, readEntries),
    listRuns: on(lists, listRuns),
    listWaits: on(reads, listWaits),
    secret: on(lists, secret),
    due: on(reads, readDue),
    admit: (now, runsMax) => admit(reads, commits, now, runsMax),
    readyQueues: on(lists, readReadyQueues),
    expiredLeases: on(reads, expiredLeases),
    listLeases: on(reads, listLeases),
    renewSession: on(reads, renewSession),
    renewLeases: on(reads, renewLeases),
    loadRecords: on(reads, loadRecords),
    listWorkflows: on(lists, listWorkflows),
    putWorker: on(lists, putWorker),
    listWorkers: on(lists, listWorkers),
    sweepWorkers: on(lists, sweepWorkers),
    countLeases: on(lists, countLeases),
    putPayload: on(lists, putPayload),
    getPayload: on(reads, getPayload),
    sweepPayloads: on(lists, sweepPayloads),
    putDeltas: (chunks) => putDeltas(commits, to.types, chunks),
    readDeltas: on(reads, readDeltas),
    deltaHeads: on(reads, deltaHeads),
    deltaRuns: on(lists, deltaRuns),
    deleteDeltas: on(lists, deleteDeltas),
    runMarks: on(reads, runMarks),
    endedSince: on(lists, endedSince),
    endedRuns: on(lists, endedRuns),
    shrink,
    takeNudges: on(reads, takeNudges),
    accessState: on(lists, accessState),
    findKey: on(lists, findKey),
    listKeys: on(lists, listKeys),
    putKey: on(lists, putKey),
    revokeKey: on(lists, revokeKey),
    touchKeys: on(lists, touchKeys),
    ping: on(commits, ping),
  };
}
