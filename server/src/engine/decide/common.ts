import type { EntryMeta, Failure, Undone } from "../../model/entry.ts";
import { leaseLost, PawlError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import type { Payload } from "../../model/payload.ts";
import { hasLapsed, isTerminal, type RunHeader, type RunState as State } from "../../model/run.ts";
import type { Directive, StepIdentity } from "../api.ts";
import type { Draft } from "../draft.ts";

/** Refuses a write whose fence is not the run's current one; a lease that has merely ended is no reason. */
export function checkFence({ header, mayTakeBack }: Draft, fence: number): void {
  if (header.fence !== fence) throw leaseLost(header.runId, fence, header.fence);
  if (isTerminal(header.state)) {
    throw new PawlError(
      "RUN_TERMINAL",
      `Run "${header.runId}" has ended: it is ${header.state}. Nothing was written.`,
      {
        metadata: { run_id: header.runId, state: header.state },
      },
    );
  }
  if (header.state === "PAUSED") {
    throw new PawlError(
      "RUN_PAUSED",
      `Run "${header.runId}" is paused; nothing was written. Resume it first.`,
      {
        metadata: { run_id: header.runId, reason: header.reason },
      },
    );
  }
  if (header.lease === null && !mayTakeBack) throw leaseLost(header.runId, fence, header.fence);
}

/** What the holder should do next. */
export function directive(header: RunHeader): Directive {
  if (header.lease === null && !hasLapsed(header)) return "yield";
  if (header.state === "CANCELLING") return "cancel";
  return header.intent === "pause" ? "pause" : "continue";
}

/** The part of an entry's meta that every step entry has; defaults are left out. */
export function stepMeta(step: StepIdentity, workerId: string): EntryMeta {
  const meta: EntryMeta = { worker: workerId, fence: step.fence };
  if (step.name !== "" && step.name !== step.key) meta.name = step.name;
  if (step.kind !== "step") meta.kind = step.kind;
  if (step.inputDigest !== "") meta.inputDigest = step.inputDigest;
  if (step.definitionDigest !== "") meta.definitionDigest = step.definitionDigest;
  const input = keptInput(step.input);
  if (input !== undefined) meta.input = input;
  return meta;
}

/** A small input, kept for people; a large one is known by its digest only. */
export function keptInput(input: Payload | undefined): EntryMeta["input"] {
  if (input?.data === undefined || input.data.byteLength > LIMITS.keptInputBytes) return undefined;
  const bytes = Buffer.from(input.data.buffer, input.data.byteOffset, input.data.byteLength);
  return input.encoding === "bytes"
    ? { encoding: input.encoding, base64: bytes.toString("base64") }
    : { encoding: input.encoding, text: bytes.toString("utf8") };
}

/** Any recorded progress ends a series of crashes. */
export function noteProgress(draft: Draft): void {
  if (draft.header.crashes > 0) draft.patch({ crashes: 0 });
}

/**
 * Ends a run: no lease, no queue, nothing due, the parent told. The caller appends the entry.
 *
 * @param undone what its clean-up did not get done
 */
export function endRun(draft: Draft, state: State, undone?: Undone): void {
  const header = draft.header;
  const queued = header.state === "QUEUED" || header.state === "CANCELLING";
  if (queued && header.lease === null) draft.removeReady();
  const { cancelReason } = header.notes;
  const notes = {
    ...(cancelReason === undefined ? {} : { cancelReason }),
    ...(undone === undefined ? {} : { undone }),
  };
  draft.patch({ state, reason: "", intent: "none", endedAt: draft.now, waiting: null, notes });
  draft.dropLease();
  draft.clearDue();
  unlistWaits(draft);
  for (const child of draft.state.children) {
    const key = `${header.runId}\n${header.seq}`;
    const row = { kind: "parent" as const, key, at: draft.now, data: header.runId };
    draft.putDueElsewhere(child, row);
  }
  if (header.parentRunId !== "") {
    // A key of its own for each end: a row put now must not go with one that is being fired.
    const key = `${header.runId}\n${header.seq}`;
    const row = { kind: "child" as const, key, at: draft.now, data: header.runId };
    draft.putDueElsewhere(header.parentRunId, row);
  }
}

/** Nobody waits for anything any more. */
function unlistWaits(draft: Draft): void {
  if (draft.state.openWaits === 0) return;
  for (const [key, step] of draft.state.steps) if (step.status === "waiting") draft.listWait(key);
}

const NOTED_CHARS = 200;

/** Notes on the run's row why it failed. */
export function noteFailure(draft: Draft, { type, message }: Failure): void {
  const [line = ""] = (message === "" ? type : `${type}: ${message}`).split("\n", 1);
  const failure = line.slice(0, NOTED_CHARS).toWellFormed().replaceAll("\0", " ");
  draft.patch({ notes: { ...draft.header.notes, failure } });
}

export function failRun(draft: Draft, failure: Failure, meta: EntryMeta, undone?: Undone): void {
  endRun(draft, "FAILED", undone);
  noteFailure(draft, failure);
  const left = undone === undefined ? {} : { undone };
  draft.append("run.failed", "", 0, { ...meta, ...left, failure });
}
