import type { Operation, Store } from "../store.ts";
import { admit } from "./admit.ts";
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

/** What each operation takes and returns. */
export type Args = { readonly [O in Operation]: Parameters<Store[O]> };
export type Results = { readonly [O in Operation]: Awaited<ReturnType<Store[O]>> };

type Operations = { readonly [O in Operation]: (db: Database, ...args: Args[O]) => Results[O] };

const OPERATIONS: Operations = {
  loadRuns,
  readJournal,
  readEntries,
  listRuns,
  listWaits,
  secret,
  due: readDue,
  admit,
  readyQueues: readReadyQueues,
  expiredLeases,
  listLeases,
  renewSession,
  renewLeases,
  loadRecords,
  listWorkflows,
  putWorker,
  listWorkers,
  sweepWorkers,
  countLeases,
  putPayload,
  getPayload,
  sweepPayloads,
  putDeltas,
  readDeltas,
  deltaHeads,
  deltaRuns,
  deleteDeltas,
  runMarks,
  endedSince,
  endedRuns,
  shrink,
  takeNudges,
  accessState,
  findKey,
  listKeys,
  putKey,
  revokeKey,
  touchKeys,
  ping,
};

/** Synchronous: in the store's thread, or on the main one. */
export function execute<O extends Operation>(db: Database, name: O, args: Args[O]): Results[O] {
  return OPERATIONS[name](db, ...args);
}
