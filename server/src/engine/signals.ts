/** Use cases on a run's inbox. */
import { sha256, uuidv7 } from "../lib/ids.ts";
import type { Caller } from "../model/caller.ts";
import type { Entry } from "../model/entry.ts";
import { invalid, PawlError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { Payload } from "../model/payload.ts";
import type { ListSignals, SignalView } from "./api.ts";
import type { Core } from "./core.ts";
import { sendSignal as decideSignal } from "./decide/waits.ts";
import { bytesOfEntry } from "./events/size.ts";
import { readEntry, samePayload } from "./journal.ts";
import { checkPayload, readHeader } from "./runs.ts";

export async function sendSignal(
  core: Core,
  caller: Caller,
  runId: string,
  name: string,
  signalId: string,
  payload: Payload,
  actor: string,
): Promise<{ signalId: string; duplicate: boolean }> {
  await checkPayload(core, caller, payload);
  const id = signalId === "" ? uuidv7(core.clock.now()) : signalId;
  const reply = await core.writer.submit({
    org: caller.org,
    runId,
    bytes: 300 + (payload.data?.byteLength ?? 0),
    decide: (draft) => decideSignal(draft, { runId, name, signalId: id, payload, actor }),
  });
  if (reply.duplicateOf === undefined) return { signalId: id, duplicate: false };
  const recorded = await readEntry(core.store, caller, runId, reply.duplicateOf);
  if (recorded.meta.signalName === name && samePayload(recorded.payload, payload, sha256)) {
    return { signalId: id, duplicate: true };
  }
  throw new PawlError(
    "IDEMPOTENCY_CONFLICT",
    `Run "${runId}" has received another signal with the id "${id}", named "${recorded.meta.signalName ?? ""}". Nothing was sent; choose another id.`,
    { metadata: { run_id: runId, signal_id: id, recorded_name: recorded.meta.signalName ?? "" } },
  );
}

/** Signals that are read at once: few, since each may be large. */
const READ_TOGETHER = 16;

/** A page of the signals that a run was sent, oldest first, bounded in bytes. */
export async function listSignals(
  core: Core,
  caller: Caller,
  { runId, pageSize, pageToken }: ListSignals,
): Promise<{ signals: SignalView[]; nextPageToken: string }> {
  const after = pageToken === "" ? 0 : parseToken(pageToken);
  const [run] = await core.store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
  if (run === undefined) await readHeader(core, caller, runId);
  const received: number[] = [];
  const takenBy = new Map<string, string>();
  for (const { type, seq, key, meta } of run?.entries ?? []) {
    if (type === "workflow.signal.received" && seq > after) received.push(seq);
    if (type === "workflow.wait.resolved" && meta.signalId !== undefined)
      takenBy.set(meta.signalId, key);
    // The code was never given it: it is in the inbox again.
    if (meta.returned !== undefined) takenBy.delete(meta.returned);
  }
  const signals: SignalView[] = [];
  let bytes = 0;
  let last = after;
  for (let at = 0; at < received.length; at += READ_TOGETHER) {
    const seqs = received.slice(at, at + READ_TOGETHER);
    for (const entry of await core.store.readEntries(caller, runId, seqs)) {
      if (entry === undefined) continue;
      bytes += bytesOfEntry(entry);
      const isFull = signals.length === pageSize || bytes > LIMITS.journalPageBytes;
      if (isFull && signals.length > 0) return { signals, nextPageToken: makeToken(last) };
      signals.push(viewOf(entry, takenBy));
      last = entry.seq;
    }
  }
  return { signals, nextPageToken: "" };
}

function viewOf({ meta, payload, at }: Entry, takenBy: ReadonlyMap<string, string>): SignalView {
  return {
    name: meta.signalName ?? "",
    signalId: meta.signalId ?? "",
    payload: payload ?? { encoding: "void", data: new Uint8Array(0) },
    actor: meta.actor ?? "",
    receivedAt: at,
    consumedBy: takenBy.get(meta.signalId ?? "") ?? "",
  };
}

function makeToken(seq: number): string {
  return Buffer.from(String(seq)).toString("base64url");
}

function parseToken(token: string): number {
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw invalid("page_token", "is not a valid token from this server");
}
