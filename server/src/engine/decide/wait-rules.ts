import { BOUNDS } from "../../model/bounds.ts";
import type { EntryMeta, Failure, StepKind } from "../../model/entry.ts";
import { invalid, PawlError } from "../../model/errors.ts";
import type { Payload } from "../../model/payload.ts";
import { checkQuestion } from "../../model/question.ts";
import { isTerminal } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import { isReopened } from "../journal/run-memory.ts";
import type { NewWait } from "../outcomes/outcome-types.ts";
import type { WaitSpec } from "../waits/wait-types.ts";
import { readyIfSatisfied } from "./readiness.ts";
import { remindLater, resolve } from "./wait-changes.ts";

/** Refuses a wait that could never be registered, before anything is changed; `before` it in the same command come others. */
export function checkWait(
  draft: Draft,
  kind: StepKind,
  wait: WaitSpec | undefined,
  before = 0,
): void {
  if (kind === "step" || kind === "value") throw invalid("wait", `a ${kind} does not wait`);
  if (kind === "sleep" && wait?.durationMs === undefined && wait?.until === undefined) {
    throw invalid("wait", "a sleep needs a duration or a moment to wake at");
  }
  if (kind === "signal" && (wait?.signalName ?? "") === "")
    throw invalid("wait.signal_name", "must be set for a signal");
  if (kind === "child" && (wait?.childRunId ?? "") === "")
    throw invalid("wait.child_run_id", "must be set for a child");
  if (kind === "user") {
    if (wait?.question === undefined) throw invalid("wait.question", "must be set for a question");
    checkQuestion(wait.question);
  } else if (wait?.question !== undefined) {
    throw invalid("wait.question", `is not allowed for the kind ${kind}`);
  }
  if (draft.state.openWaits + before >= BOUNDS.openWaitsPerRun) {
    throw invalid(
      "wait",
      `the run has ${BOUNDS.openWaitsPerRun} open waits already, which is the limit`,
    );
  }
}

/**
 * Registers a wait: its due time is fixed now, by the server. What is satisfied already (a signal
 * in the inbox, a moment in the past) is resolved at once.
 */
export function createWait(
  draft: Draft,
  attempt: number,
  fence: number,
  worker: string,
  wait: NewWait,
): void {
  const spec = wait.wait;
  const before = draft.state.steps.get(wait.key);
  const until =
    before !== undefined && isReopened(before)
      ? before.until || undefined
      : (spec.until ?? (spec.durationMs === undefined ? undefined : draft.now + spec.durationMs));
  const meta: EntryMeta = { kind: wait.kind, worker, fence };
  if (wait.name !== "" && wait.name !== wait.key) meta.name = wait.name;
  if (until !== undefined) meta.until = until;
  if (spec.signalName !== undefined && spec.signalName !== "") meta.signalName = spec.signalName;
  if (spec.childRunId !== undefined && spec.childRunId !== "") meta.childRunId = spec.childRunId;
  if (spec.question !== undefined) meta.question = spec.question;
  if (spec.cron !== undefined) meta.cron = spec.cron;
  if (spec.timeZone !== undefined) meta.timeZone = spec.timeZone;
  // Before it changes: it may have had a row.
  draft.waits.list(wait.key, before === undefined);
  draft.append("workflow.wait.created", wait.key, attempt, meta);

  if (wait.kind === "signal" && takeSignal(draft, wait.key)) return;
  if (until !== undefined && until <= draft.now) {
    resolve(draft, wait.key, wait.kind === "sleep" ? "fired" : "timed_out", {});
    return;
  }
  if (until !== undefined) draft.due.put("wait", wait.key, until);
  remindLater(draft, wait.key);
  // The child may have ended before its parent came to wait for it.
  if (wait.kind === "child") draft.due.put("child", wait.key, draft.now, spec.childRunId ?? "");
}

/** Gives the oldest signal of a name to the wait that was opened first, for as long as there are both. */
export function deliverSignals(draft: Draft, name: string): void {
  for (const [key, step] of draft.state.steps) {
    if (step.status !== "waiting" || step.signalName !== name || name === "") continue;
    if (!takeSignal(draft, key)) return;
  }
}

/** Gives the oldest signal of the wait's name to it. */
function takeSignal(draft: Draft, key: string): boolean {
  const name = draft.state.steps.get(key)?.signalName;
  const signal = draft.state.inbox.find((one) => one.name === name);
  if (signal === undefined) return false;
  resolve(draft, key, "signalled", { signalId: signal.signalId, payloadSeq: signal.seq });
  return true;
}

export interface SignalCommand {
  readonly runId: string;
  readonly name: string;
  readonly signalId: string;
  readonly payload: Payload;
  readonly actor: string;
}

export type SignalReply = { readonly duplicateOf: number | undefined };

/** Into the inbox, and from there to the wait of that name that was opened first. */
export function sendSignal(draft: Draft, command: SignalCommand): SignalReply {
  const known = draft.state.signalSeqs.get(command.signalId);
  if (known !== undefined) return { duplicateOf: known };
  const header = draft.header;
  if (isTerminal(header.status)) {
    throw new PawlError(
      "RUN_TERMINAL",
      `Run "${header.runId}" has ended (${header.status}); it takes no more signals.`,
      {
        metadata: { run_id: header.runId, status: header.status },
      },
    );
  }
  const meta: EntryMeta = { signalName: command.name, signalId: command.signalId };
  if (command.actor !== "") meta.actor = command.actor;
  draft.append("workflow.signal.received", "", 0, meta, command.payload);
  deliverSignals(draft, command.name);
  readyIfSatisfied(draft);
  return { duplicateOf: undefined };
}

/** A child run's end, as read from its journal. */
export interface ChildOutcome {
  readonly outcome: "completed" | "failed" | "cancelled";
  readonly payload?: Payload;
  readonly failure?: Failure;
}

export function childEnded(draft: Draft, childRunId: string, child: ChildOutcome): void {
  for (const [key, step] of draft.state.steps) {
    if (step.status !== "waiting" || step.childRunId !== childRunId) continue;
    const extra: EntryMeta = { childRunId };
    if (child.failure !== undefined) extra.failure = child.failure;
    resolve(draft, key, child.outcome, extra, child.payload);
  }
  readyIfSatisfied(draft);
}
