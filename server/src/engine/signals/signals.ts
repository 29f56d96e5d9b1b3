import type { Clock } from "../../lib/clock.ts";
import { sha256, uuidv7 } from "../../lib/ids.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import type { Entry } from "../../model/entry.ts";
import { PawlError } from "../../model/errors.ts";
import { formatPageToken, parsePageToken } from "../../model/ids.ts";
import type { Store } from "../../store/store.ts";
import { sendSignal as decideSignal } from "../decide/wait-rules.ts";
import { bytesOfEntry } from "../events/size.ts";
import { readEntry, samePayload } from "../journal/journal-reads.ts";
import { checkPayload } from "../payloads/payloads.ts";
import { readHeader } from "../runs/read-header.ts";
import type { Writer } from "../writer.ts";
import type { ListSignals, SendSignal, SignalView } from "./signal-types.ts";

export interface SignalsParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly writer: Writer;
}

/** Use cases on a run's inbox. */
export class Signals {
  readonly #parts: SignalsParts;

  constructor(parts: SignalsParts) {
    this.#parts = parts;
  }

  async send(
    caller: Caller,
    { runId, name, signalId, payload, actor }: SendSignal,
  ): Promise<{ signalId: string; duplicate: boolean }> {
    await checkPayload(this.#parts.store, caller, payload);
    const id = signalId === "" ? uuidv7(this.#parts.clock.now()) : signalId;
    const { duplicateOf, runUid } = await this.#parts.writer.submit({
      org: caller.org,
      runId,
      bytes: 300 + (payload.data?.byteLength ?? 0),
      decide: (draft) => ({
        ...decideSignal(draft, { runId, name, signalId: id, payload, actor }),
        runUid: draft.header.runUid,
      }),
    });
    if (duplicateOf === undefined) return { signalId: id, duplicate: false };
    const recorded = await readEntry(this.#parts.store, caller, { runId, runUid }, duplicateOf);
    if (recorded.meta.signalName === name && samePayload(recorded.payload, payload, sha256)) {
      return { signalId: id, duplicate: true };
    }
    throw new PawlError(
      "IDEMPOTENCY_CONFLICT",
      `Run "${runId}" has received another signal with the id "${id}", named "${recorded.meta.signalName ?? ""}". Nothing was sent; choose another id.`,
      { metadata: { run_id: runId, signal_id: id, recorded_name: recorded.meta.signalName ?? "" } },
    );
  }

  /** A page of the signals that a run was sent, oldest first, bounded in bytes. */
  async list(
    caller: Caller,
    { runId, pageSize, pageToken }: ListSignals,
  ): Promise<{ signals: SignalView[]; nextPageToken: string }> {
    const [after] = pageToken === "" ? [0] : parsePageToken(pageToken, ["number"]);
    const [run] = await this.#parts.store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
    if (run === undefined) await readHeader(this.#parts.store, caller, runId);
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
      for (const entry of await this.#parts.store.readEntries(caller, runId, seqs)) {
        if (entry === undefined) continue;
        bytes += bytesOfEntry(entry);
        const isFull = signals.length === pageSize || bytes > BOUNDS.journalPageBytes;
        if (isFull && signals.length > 0)
          return { signals, nextPageToken: formatPageToken([last]) };
        signals.push(viewOf(entry, takenBy));
        last = entry.seq;
      }
    }
    return { signals, nextPageToken: "" };
  }
}

/** Signals that are read at once: few, since each may be large. */
const READ_TOGETHER = 16;

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
