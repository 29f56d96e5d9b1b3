/** Use cases on a run's inbox. */
import { sha256, uuidv7 } from "../lib/ids.ts";
import type { Caller } from "../model/caller.ts";
import type { Entry } from "../model/entry.ts";
import { PawlError } from "../model/errors.ts";
import type { Payload } from "../model/payload.ts";
import type { SignalView } from "./api.ts";
import type { Core } from "./core.ts";
import { sendSignal as decideSignal } from "./decide/waits.ts";
import { readEntry, samePayload } from "./journal.ts";
import { checkPayload, getJournal } from "./runs.ts";

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

export async function listSignals(
  core: Core,
  caller: Caller,
  runId: string,
): Promise<SignalView[]> {
  const received: Entry[] = [];
  const takenBy = new Map<string, string>();
  for (let after = 0, more = true; more; ) {
    const page = await getJournal(core, caller, runId, after, Number.MAX_SAFE_INTEGER);
    for (const entry of page.entries) {
      if (entry.type === "workflow.signal.received") received.push(entry);
      if (entry.type === "workflow.wait.resolved" && entry.meta.signalId !== undefined)
        takenBy.set(entry.meta.signalId, entry.key);
    }
    after = page.entries.at(-1)?.seq ?? after;
    more = page.more;
  }
  return received.map((entry) => ({
    name: entry.meta.signalName ?? "",
    signalId: entry.meta.signalId ?? "",
    payload: entry.payload ?? { encoding: "void", data: new Uint8Array(0) },
    actor: entry.meta.actor ?? "",
    receivedAt: entry.at,
    consumedBy: takenBy.get(entry.meta.signalId ?? "") ?? "",
  }));
}
