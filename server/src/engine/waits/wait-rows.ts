/** The rows of open waits, which are made of the run's state and say nothing else. */

import { BOUNDS } from "../../model/bounds.ts";
import { isWaitKind, WAIT_KINDS } from "../../model/entry.ts";
import { type Answer, listedAssignees, type Question } from "../../model/question.ts";
import { isTerminal } from "../../model/run.ts";
import { waitIdOf } from "../../model/wait-id.ts";
import type { ListedWait, WaitRow } from "../../store/waits.ts";
import type { RunMemory, StepRecord } from "../journal/run-memory.ts";
import type { ChangeSet, ChangesSoFar } from "../write/change-set.ts";
import type { ClosedWait, WaitView } from "./wait-types.ts";

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
  /** Of a closed wait: when it was registered, and how it was closed. */
  readonly since?: number;
  readonly closed?: ClosedWait;
}

/** The rows of some waits, to be brought in line with their state. */
export class ListedWaits implements ChangeSet {
  readonly #state: RunMemory;
  /** Those that may have a row by now. */
  readonly #hadRow = new Map<string, boolean>();

  constructor(state: RunMemory) {
    this.#state = state;
  }

  list(key: string, isNew = false): void {
    if (this.#hadRow.has(key)) return;
    const step = this.#state.steps.get(key);
    this.#hadRow.set(key, !isNew && step !== undefined && isListed(step));
  }

  writeTo(changes: ChangesSoFar): void {
    const state = this.#state;
    const put: WaitRow[] = [];
    const gone: { key: string; isQuestion: boolean }[] = [];
    const unasked: string[] = [];
    const ended = isTerminal(state.header.status);
    for (const [key, hadRow] of this.#hadRow) {
      const step = state.steps.get(key);
      if (step === undefined) continue;
      const isQuestion = step.wait?.question !== undefined;
      const isHere = isListed(step);
      if (isHere && step.status === "waiting" && !ended) put.push(rowOf(state, key, step));
      else if (isHere && isShown(step)) {
        put.push(closedRowOf(state, key, step));
        if (isQuestion) unasked.push(key);
      } else if (hadRow) gone.push({ key, isQuestion });
    }
    changes.waits = unasked.length === 0 ? { put, gone } : { put, gone, unasked };
  }
}

/** What was closed because its run is being ended is in no list, as what ends with it. */
function isShown({ status, wait }: StepRecord): boolean {
  return status === "closed" && wait?.closed !== undefined && wait.closed.why !== "cancelled";
}

/** Closed waits are kinds of their own, by when they were closed. */
function closedRowOf(state: RunMemory, key: string, step: StepRecord): WaitRow {
  const closed = step.wait?.closed;
  const data: WaitData = {
    ...dataOf(step, key),
    since: step.firstAt,
    ...(closed === undefined ? {} : { closed }),
  };
  return {
    ...rowOf(state, key, step),
    kind: closedKind(step.kind),
    since: closed?.at ?? 0,
    data: JSON.stringify(data),
    assignees: undefined,
  };
}

export function closedKind(kind: string): string {
  return `closed ${kind}`;
}

/** The same from when a wait is registered until it ends; asked for anew, it may be another. */
function isListed(step: StepRecord): boolean {
  if (!isWaitKind(step.kind)) return false;
  return step.kind !== "sleep" || step.until - step.firstAt >= BOUNDS.listedSleepMs;
}

function rowOf(state: RunMemory, key: string, step: StepRecord): WaitRow {
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

/** What lists show of a row. */
export function listedView(row: ListedWait): WaitView {
  const data = JSON.parse(row.data) as WaitData;
  const kind = WAIT_KINDS.find((one) => row.kind === one || row.kind === closedKind(one));
  if (kind === undefined) throw new TypeError(`A wait is of the unknown kind ${row.kind}.`);
  return {
    waitId: waitIdOf(row, row.key),
    runId: row.runId,
    key: row.key,
    workflow: row.workflow,
    kind,
    name: data.name ?? row.key,
    since: data.since ?? row.since,
    due: row.until,
    question: data.question,
    answers: data.answers ?? [],
    reminders: data.reminders ?? 0,
    signalName: data.signalName ?? "",
    childRunId: data.childRunId ?? "",
    cron: data.cron ?? "",
    timeZone: data.timeZone ?? "",
    resolution: undefined,
    closed: data.closed,
  };
}
