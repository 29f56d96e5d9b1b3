/** Values for the tests of the stores. */
import type { Tenant } from "../../server/src/model/caller.ts";
import type { Entry, EntryType } from "../../server/src/model/entry.ts";
import type { Payload } from "../../server/src/model/payload.ts";
import { NEW_RUN, type RunHeader } from "../../server/src/model/run.ts";
import type { Changes } from "../../server/src/store/changes.ts";
import type { DueWrite } from "../../server/src/store/due.ts";
import type { PayloadWrite } from "../../server/src/store/payloads.ts";
import { type HeaderPatch, patchOf } from "../../server/src/store/run-columns.ts";
import type {
  Batch,
  BatchResult,
  ClaimRequest,
  RunFilter,
  RunWrite,
} from "../../server/src/store/runs.ts";
import type { Store } from "../../server/src/store/store.ts";

export const ORG = "default";
export const CALLER: Tenant = { org: ORG };
/** 2026-11-21; larger than 32 bits, as real times are. */
export const T0 = 1_795_200_000_000;

export function makeHeader(runId: string, with_: Partial<RunHeader> = {}): RunHeader {
  return {
    ...NEW_RUN,
    org: ORG,
    runId,
    runUid: `uid of ${runId}`,
    workflow: "digest",
    fence: 0,
    seq: 1,
    inputDigest: "0".repeat(64),
    createdAt: T0,
    startAt: T0,
    updatedAt: T0,
    ...with_,
  };
}

export function makeEntry(seq: number, with_: Partial<Entry> = {}): Entry {
  return {
    seq,
    at: T0 + seq,
    type: seq === 1 ? "run.started" : "workflow.step.completed",
    key: seq === 1 ? "" : `step#${seq}`,
    attempt: seq === 1 ? 0 : 1,
    meta: { worker: "worker-1" },
    payload: bytes(`{"seq":${seq}}`),
    ...with_,
  };
}

export function bytes(text: string, encoding = "json"): Payload {
  return { encoding, data: Buffer.from(text) };
}

/** A write as tests name its parts: changes are next to the rest, lists one by one. */
export type Spec = Partial<Omit<RunWrite, "changes">> &
  Partial<Omit<Changes, "due" | "payloads">> & {
    readonly duePut?: DueWrite["put"];
    readonly dueRemove?: DueWrite["remove"];
    readonly dueElsewhere?: DueWrite["elsewhere"];
    readonly dueClear?: boolean;
    readonly payloads?: PayloadWrite["put"];
    readonly payloadRefs?: PayloadWrite["refs"];
  };

function split(spec: Spec): Partial<RunWrite> & Pick<RunWrite, "changes"> {
  const { duePut, dueRemove, dueElsewhere, dueClear, payloads, payloadRefs, ...others } = spec;
  const { ready, vacancy, lease, waits, deltas, admission, nudge, ...rest } = others;
  const hasDue = [duePut, dueRemove, dueElsewhere].some((list) => list !== undefined);
  const due: DueWrite = {
    put: duePut ?? [],
    remove: dueRemove ?? [],
    elsewhere: dueElsewhere ?? [],
    ...(dueClear === true && { isCleared: true }),
  };
  const hasPayloads = payloads !== undefined || payloadRefs !== undefined;
  const changes: Partial<Changes> = {
    ...(ready !== undefined && { ready }),
    ...(vacancy !== undefined && { vacancy }),
    ...(lease !== undefined && { lease }),
    ...(waits !== undefined && { waits }),
    ...(deltas !== undefined && { deltas }),
    ...(admission !== undefined && { admission }),
    ...(nudge !== undefined && { nudge }),
    ...((hasDue || dueClear === true) && { due }),
    ...(hasPayloads && { payloads: { put: payloads ?? [], refs: payloadRefs ?? [] } }),
  };
  return { ...rest, changes };
}

/** A write that makes a run; its header's seq is the number of its entries. */
export function insertion(header: RunHeader, with_: Spec = {}): RunWrite {
  const entries = with_.entries ?? [makeEntry(1)];
  return {
    org: header.org,
    runId: header.runId,
    expect: null,
    seq: entries.length,
    updatedAt: header.updatedAt,
    insert: { ...header, seq: entries.length },
    ...split(with_),
    entries,
  };
}

/** A write to a run that is expected at `fence` and `seq`; by default with one entry. */
export function change(runId: string, fence: number, seq: number, with_: Spec = {}): RunWrite {
  const entries = with_.entries ?? [makeEntry(seq + 1)];
  return {
    org: ORG,
    runId,
    expect: { fence, seq },
    seq: seq + entries.length,
    updatedAt: T0 + seq + entries.length,
    ...split(with_),
    entries,
  };
}

export function makePatch(with_: Partial<HeaderPatch> = {}): HeaderPatch {
  const run = { status: "RUNNING", fence: 1, attempt: 1, startedAt: T0 } as const;
  return { ...patchOf(makeHeader("")), ...run, ...with_ };
}

export function makeClaim(slots: number, with_: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    org: ORG,
    queues: ["default"],
    lanes: ["digest"],
    slots: Array.from({ length: slots }, (_, i) => ({
      connectionId: "session-1",
      workerId: `w${i}`,
    })),
    until: T0 + 15_000,
    journalBytes: 1_000_000,
    ...with_,
  };
}

export function readyRow(
  readyAt: number,
  with_: { rank?: number; lane?: string; queue?: string } = {},
) {
  return { queue: "default", lane: "digest", rank: 4, readyAt, ...with_ };
}

export function makeFilter(with_: Partial<RunFilter> = {}): RunFilter {
  return { statuses: [], tags: {}, limit: 100, ...with_ };
}

export function commit(store: Store, ...writes: RunWrite[]): Promise<BatchResult> {
  return store.commit({ now: T0, writes, claims: [] });
}

export async function claim(store: Store, request: ClaimRequest, now = T0) {
  const batch: Batch = { now, writes: [], claims: [request] };
  const [claimed] = (await store.commit(batch)).claimed;
  if (claimed === undefined) throw new Error("A batch with one claim got no answer to it.");
  return claimed;
}

export async function getRun(store: Store, runId: string): Promise<RunHeader | undefined> {
  const [run] = await store.loadRuns([{ org: ORG, runId, afterSeq: 0 }]);
  return run?.header;
}

export async function getJournal(store: Store, runId: string): Promise<Entry[]> {
  const page = await store.readJournal(CALLER, runId, 0, { entries: 10_000, bytes: 10_000_000 });
  return page.entries.map(plain);
}

/** With payload bytes as text, so that a Buffer equals a Uint8Array. */
export function plain(entry: Entry): Entry {
  const { payload } = entry;
  if (payload?.data === undefined) return entry;
  return { ...entry, payload: { ...payload, data: new Uint8Array(payload.data) } };
}

export const STEP: EntryType = "workflow.step.completed";
