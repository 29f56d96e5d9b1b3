/** The rows of open waits, which are made of the run's state and say nothing else. */
import { isWaitKind } from "../model/entry.ts";
import { LIMITS } from "../model/limits.ts";
import { type Answer, listedAssignees, type Question } from "../model/question.ts";
import { isTerminal } from "../model/run.ts";
import type { WaitChanges, WaitRow } from "../store/wait.ts";
import type { RunState, StepRecord } from "./state.ts";

/** What a row holds besides its columns. Absent: empty. */
export interface WaitData {
  readonly name?: string;
  readonly question?: Question;
  readonly answers?: readonly Answer[];
  readonly reminders?: number;
  readonly signalName?: string;
  readonly childRunId?: string;
  readonly cron?: string;
  readonly timeZone?: string;
}

/** Brings the rows of some waits in line with their state. */
export function waitChanges(
  state: RunState,
  waits: ReadonlyMap<string, { readonly isNew: boolean }>,
): WaitChanges {
  const put: WaitRow[] = [];
  const gone: { key: string; isQuestion: boolean }[] = [];
  const ended = isTerminal(state.header.state);
  for (const [key, { isNew }] of waits) {
    const step = state.steps.get(key);
    if (step === undefined || !isListed(step)) continue;
    if (step.status === "waiting" && !ended) put.push(rowOf(state, key, step));
    else if (!isNew) gone.push({ key, isQuestion: step.wait?.question !== undefined });
  }
  return { put, gone };
}

/** The same at every moment of a wait's life. */
function isListed(step: StepRecord): boolean {
  if (!isWaitKind(step.kind)) return false;
  return step.kind !== "sleep" || step.until - step.firstAt >= LIMITS.listedSleepMs;
}

function rowOf(state: RunState, key: string, step: StepRecord): WaitRow {
  const question = step.wait?.question;
  return {
    key,
    kind: step.kind,
    workflow: state.header.workflow,
    since: step.firstAt,
    until: step.until,
    data: JSON.stringify(dataOf(step, key)),
    assignees: question === undefined ? undefined : listedAssignees(question),
  };
}

function dataOf(step: StepRecord, key: string): WaitData {
  const { wait, name, signalName, childRunId } = step;
  return {
    ...(name === key ? {} : { name }),
    ...(signalName === "" ? {} : { signalName }),
    ...(childRunId === "" ? {} : { childRunId }),
    ...(wait?.question === undefined ? {} : { question: wait.question }),
    ...(wait === undefined || wait.answers.length === 0 ? {} : { answers: wait.answers }),
    ...(wait === undefined || wait.reminders === 0 ? {} : { reminders: wait.reminders }),
    ...(wait === undefined || wait.cron === "" ? {} : { cron: wait.cron, timeZone: wait.timeZone }),
  };
}
