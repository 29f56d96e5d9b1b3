/** How single waits end, with what is due and listed of them. */
import type { ClosedWhy, EntryMeta, WaitOutcome } from "../../model/entry.ts";
import type { Payload } from "../../model/payload.ts";
import type { Draft } from "../draft.ts";
import type { StepRecord } from "../journal/run-memory.ts";

/** Resolves an open wait; the journal's next reader replays it. */
export function resolve(
  draft: Draft,
  key: string,
  outcome: WaitOutcome,
  extra: EntryMeta,
  payload?: Payload,
): void {
  const step = draft.state.steps.get(key);
  if (step === undefined || step.status !== "waiting") return;
  forgetDue(draft, key, step);
  draft.append(
    "workflow.wait.resolved",
    key,
    step.attempt,
    { ...waitMeta(key, step), outcome, ...extra },
    payload,
  );
  draft.waits.list(key);
}

/** What every entry of a wait says of it. */
export function waitMeta(key: string, { kind, name }: StepRecord): EntryMeta {
  return name === key ? { kind } : { kind, name };
}

/** When a question's next reminder is due; undefined when there is none. */
export function nextReminder(step: StepRecord): number | undefined {
  const after = step.wait?.question?.remindersMs?.[step.wait.reminders];
  return after === undefined ? undefined : step.firstAt + after;
}

/** Makes a question's next reminder due, where there is one. */
export function remindLater(draft: Draft, key: string): void {
  const step = draft.state.steps.get(key);
  const at = step === undefined ? undefined : nextReminder(step);
  if (at !== undefined) draft.due.put("remind", key, at);
}

/** Closes a wait if it is open. `version`: of the code that no longer asks for it. */
export function closeOpen(draft: Draft, key: string, why: ClosedWhy, version = ""): void {
  const step = draft.state.steps.get(key);
  if (step?.status !== "waiting") return;
  forgetDue(draft, key, step);
  const meta: EntryMeta = { ...waitMeta(key, step), closed: why };
  if (version !== "") meta.details = { version };
  draft.append("workflow.wait.closed", key, step.attempt, meta);
  draft.waits.list(key);
}

/** Takes away what is due for an open wait. */
export function forgetDue(draft: Draft, key: string, step: StepRecord): void {
  if (step.until !== 0) draft.due.remove("wait", key);
  if (nextReminder(step) !== undefined) draft.due.remove("remind", key);
}
