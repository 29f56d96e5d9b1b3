/** Whether what came of a program is one of the outcomes that it may have. */
import { isDeepStrictEqual } from "node:util";
import type { JournalEntry } from "@pawl/proto";
import { bare, brief, Model } from "./model.ts";
import { type Block, isRecord, type Operation } from "./program.ts";
import { recordedValue } from "./recorded-values.ts";
import { supersededBy, unknownOutcomes } from "./retries.ts";

export interface Played {
  readonly runId: string;
  readonly journal: readonly JournalEntry[];
  /** Effects by name, each with when it was made, in ms since the epoch. */
  readonly effects: ReadonlyMap<string, readonly number[]>;
  /** How often processes were ended or frozen meanwhile. */
  readonly faults: number;
  /** The journals of other runs, by run id. */
  readonly others: ReadonlyMap<string, { readonly journal: readonly JournalEntry[] }>;
}

/** Clocks of processes are read at other moments than what they tell of. */
const SLACK_MS = 20;

/** What is wrong; of several programs (deploys) one has to fit. */
export async function judge(programs: readonly Block[], played: Played): Promise<string[]> {
  const [first = [], ...later] = programs;
  const problems = await judgeProgram(first, played, later.length === 0);
  for (const program of later) {
    if (problems.length === 0) break;
    const others = await judgeProgram(program, played, false);
    if (others.length === 0) return [];
    problems.push(...others.map((problem) => `since the next deploy: ${problem}`));
  }
  return problems;
}

async function judgeProgram(program: Block, played: Played, strict: boolean): Promise<string[]> {
  if (neverBegan(played)) return [];
  const model = await Model.follow(program, played.journal);
  const last = played.journal.at(-1);
  return [
    ...(strict ? model.problems : []),
    ...judgeEnd(model, last),
    ...judgeRecords(played, model, strict),
    ...(strict ? judgeEffects(played, model) : []),
    ...(strict ? judgeAbandoned(played, model) : []),
  ];
}

/** A child that is to outlive its parent is cancelled by nobody. */
function judgeAbandoned({ journal, others }: Played, { asked }: Model): string[] {
  return journal.flatMap(({ type, stepKey, payload }) => {
    const isStart = type === "workflow.step.completed" && asked.get(stepKey)?.abandon === true;
    const child = isStart ? others.get(String(recordedValue(payload))) : undefined;
    const isCancelled = child?.journal.some((entry) => /^run\.cancel/.test(entry.type)) === true;
    return isCancelled
      ? [`the child of ${stepKey} was cancelled, and was to outlive its parent`]
      : [];
  });
}

/** A run that is cancelled before a worker has had it ends at once. */
function neverBegan({ journal, effects }: Played): boolean {
  const isIdle = journal.every(({ stepKey, type }) => stepKey === "" && type !== "run.cancelling");
  return journal.at(-1)?.type === "run.cancelled" && isIdle && effects.size === 0;
}

function judgeEnd({ end, aborted }: Model, last: JournalEntry | undefined): string[] {
  if (last === undefined) return ["it has no journal"];
  if (end === undefined) {
    return [`it ended with ${last.type}, and the program waits (${[...aborted].length} aborted)`];
  }
  if (last.type !== `run.${end.type}`) {
    const why =
      last.failure === undefined ? "" : ` (${last.failure.type}: ${last.failure.message})`;
    return [
      `it ended with ${last.type}${why}, and not with run.${end.type} (${end.error?.type ?? ""})`,
    ];
  }
  if (end.type === "completed") {
    const output = recordedValue(last.payload);
    if (isDeepStrictEqual(output, end.value)) return [];
    return [`its result is ${brief(output)}, and not ${brief(end.value)}`];
  }
  if (end.type === "cancelled") return [];
  const { type = "", message = "" } = last.failure ?? {};
  if (bare(type) === end.error?.type && sameMessage(message, end.error)) return [];
  return [
    `it failed with ${type}: ${message}, and not with ${end.error?.type}: ${end.error?.message}`,
  ];
}

/** The text of a timeout is each SDK's. */
function sameMessage(message: string, error: { readonly type: string; readonly message: string }) {
  return error.type === "WaitTimeout" || message === error.message;
}

function judgeRecords({ journal, faults }: Played, model: Model, strict: boolean): string[] {
  const problems: string[] = [];
  const recorded = new Set<string>();
  const retries = new Map<string, number>();
  const takenBack = new Set<string>();
  for (const [i, entry] of journal.entries()) {
    const { type, stepKey, seq } = entry;
    if (seq !== i + 1) problems.push(`entry ${i + 1} is missing`);
    if (type === "workflow.step.cancelled" || type === "workflow.wait.closed") {
      recorded.delete(stepKey);
    } else if (type === "run.retried") {
      for (const key of supersededBy(entry)) {
        recorded.delete(key);
        takenBack.add(key);
      }
    } else if (type === "workflow.step.retrying") {
      retries.set(stepKey, (retries.get(stepKey) ?? 0) + 1);
    } else if (/step\.(completed|failed)$|wait\.resolved$/.test(type)) {
      if (recorded.has(stepKey)) problems.push(`${stepKey} is recorded twice`);
      recorded.add(stepKey);
      const operation = model.asked.get(stepKey);
      // Attempts are counted across a retry of the run, and its policy begins anew.
      const retried = takenBack.has(stepKey) ? undefined : (retries.get(stepKey) ?? 0);
      if (operation !== undefined && strict) {
        problems.push(...judgeStep(operation, entry, retried, faults));
      }
    }
  }
  return problems;
}

/** Whether a step failed as often as it was to fail, and as it was to. */
function judgeStep(
  { op, fail, retry, do: inner }: Operation,
  { type, stepKey, failure }: JournalEntry,
  retried: number | undefined,
  faults: number,
): string[] {
  if ((op !== "step" && op !== "compensate") || inner !== undefined) return [];
  const failed = type === "workflow.step.failed";
  if (!isRecord(fail)) {
    const what = `${failure?.type}: ${failure?.message}`;
    return failed ? [`${stepKey} failed (${what}), and nothing fails in it`] : [];
  }
  const most = isRecord(retry) ? Number(retry.maxAttempts) : 1;
  const failing = Number(fail.attempts ?? Number.POSITIVE_INFINITY);
  const attempts = fail.nonRetryable === true ? 1 : Math.min(failing, most);
  const fails = failing >= most || fail.nonRetryable === true;
  const due = fails ? attempts - 1 : attempts;
  const problems: string[] = [];
  if (
    failed &&
    (bare(failure?.type ?? "") !== bare(String(fail.type)) || failure?.message !== fail.message)
  ) {
    problems.push(`${stepKey} failed with ${failure?.type}: ${failure?.message}`);
  }
  if (retried === undefined) return problems;
  // An attempt that died counts for what its body does, and not for its policy.
  if (faults === 0 && failed !== fails) problems.push(`${stepKey} has ${type}; fails: ${fails}`);
  if (faults === 0 ? retried !== due : retried > due) {
    problems.push(`${stepKey} was retried ${retried} times, and not ${due}`);
  }
  return problems;
}

/** Each record has an execution; each execution is before its record, or its worker has died. */
function judgeEffects({ journal, effects, faults }: Played, model: Model): string[] {
  const problems: string[] = [];
  const least = new Map<string, number>();
  const most = new Map<string, number>();
  const ends = new Map<string, number>();
  const add = (to: Map<string, number>, label: string, n = 1) =>
    to.set(label, (to.get(label) ?? 0) + n);
  for (const [key, operation] of model.asked) {
    const label = labelOf(operation);
    if (label === undefined) continue;
    // One that is executed once at most is not executed again for a fault, unless it is decided so.
    const again = operation.atMostOnce === true ? unknownOutcomes(journal, key) : faults;
    add(most, label, again + (model.aborted.has(key) ? 1 : 0));
    ends.set(label, Number.NEGATIVE_INFINITY);
  }
  for (const { type, stepKey, recordedAt } of journal) {
    const operation = model.asked.get(stepKey);
    const label = operation === undefined ? undefined : labelOf(operation);
    if (label === undefined || !/step\.(completed|failed|retrying|cancelled)$/.test(type)) continue;
    add(most, label);
    if (type !== "workflow.step.cancelled") add(least, label);
    const at = Number(recordedAt?.seconds ?? 0) * 1_000 + (recordedAt?.nanos ?? 0) / 1e6;
    ends.set(label, Math.max(ends.get(label) ?? 0, at));
  }
  const keys = new Map<string, number>();
  for (const operation of model.asked.values()) add(keys, labelOf(operation) ?? "");
  for (const label of new Set([...effects.keys(), ...least.keys()])) {
    const times = effects.get(label) ?? [];
    const [low, high] = [least.get(label) ?? 0, most.get(label) ?? 0];
    if (times.length < low || times.length > high) {
      problems.push(`${label} was executed ${times.length} times, and not ${low} to ${high}`);
    }
    const over = ends.get(label) ?? 0;
    const late = times.filter((at) => at > over + SLACK_MS).length;
    // Without a record nothing says when it was over.
    if (low > 0 && late > 0 && keys.get(label) === 1 && !isEndless(model, label)) {
      problems.push(`${label} was executed ${late} times after it was on record`);
    }
  }
  return problems;
}

/** A key that was stopped and never ended. */
function isEndless(model: Model, label: string): boolean {
  return [...model.aborted].some((key) => {
    const operation = model.asked.get(key);
    return operation !== undefined && labelOf(operation) === label;
  });
}

/** The effect that a step makes. */
function labelOf(operation: Operation): string | undefined {
  const { op, name, key } = operation;
  if (op === "compensate") return String(name);
  if (op !== "step") return undefined;
  return key === undefined ? String(name) : `${name}[${key}]`;
}
