/** What must hold after a round, checked on its journals, its side effects and its outputs. */
import { type JournalEntry, RunStatus } from "@pawl/proto";
import type { RunRecord } from "./api.ts";
import type { Effect } from "./effects.ts";

/** What a round without kills led to; the same for every round. */
export interface Reference {
  /** By run id: the output as it was recorded. */
  readonly outputs: ReadonlyMap<string, string>;
  /** By run id: the keys of the steps that were completed, or failed for good. */
  readonly completed: ReadonlyMap<string, readonly string[]>;
  readonly failed: ReadonlyMap<string, readonly string[]>;
}

export interface RoundFacts {
  readonly runs: readonly RunRecord[];
  readonly effects: readonly Effect[];
  /** The process of each worker id. */
  readonly pids: ReadonlyMap<string, number>;
  /**
   * Processes that were stopped until their leases had expired. Each may execute one step too late,
   * in vain: the one that it was just about to execute when it was stopped.
   */
  readonly zombies: ReadonlySet<number>;
}

const terminal: ReadonlySet<string> = new Set(["run.completed", "run.failed", "run.cancelled"]);

export function referenceOf(runs: readonly RunRecord[]): Reference {
  return {
    outputs: new Map(runs.map((record) => [record.run.runId, outputOf(record)])),
    completed: new Map(runs.map(({ run, journal }) => [run.runId, keysOf(journal, "completed")])),
    failed: new Map(runs.map(({ run, journal }) => [run.runId, keysOf(journal, "failed")])),
  };
}

/** One line for each thing that is wrong. */
export function findViolations(facts: RoundFacts, reference: Reference): string[] {
  const found: string[] = [];
  const seen = new Set(facts.runs.map(({ run }) => run.runId));
  for (const runId of reference.outputs.keys()) {
    if (!seen.has(runId)) found.push(`${runId}: the run is missing`);
  }
  const effects = Map.groupBy(facts.effects, ({ run }) => run);
  const pardons = new Set(facts.zombies);
  for (const record of facts.runs) {
    const { runId } = record.run;
    const say = (message: string) => found.push(`${runId}: ${message}`);
    checkOutcome(record, reference, say);
    checkJournal(record.journal, say);
    const retried = record.journal.some(({ type }) => type === "run.retried");
    checkExecutions(effects.get(runId) ?? [], pardons, retried, say);
    checkResults(record.journal, effects.get(runId) ?? [], facts.pids, say);
  }
  for (const runId of effects.keys()) {
    if (!seen.has(runId)) found.push(`${runId}: had effects, but is not there`);
  }
  return found;
}

type Say = (message: string) => void;

/** The run ended as it does without kills, with the same steps. */
function checkOutcome(record: RunRecord, reference: Reference, say: Say): void {
  const { run, journal } = record;
  const expected = reference.outputs.get(run.runId);
  if (expected === undefined) {
    say("the run does not exist without kills");
    return;
  }
  if (run.status !== RunStatus.COMPLETED)
    say(`is ${RunStatus[run.status]}: ${run.failure?.message}`);
  const output = outputOf(record);
  if (output !== expected) say(`its output is ${output}, without kills it is ${expected}`);
  for (const end of ["completed", "failed"] as const) {
    const keys = keysOf(journal, end).join(" ");
    const wanted = reference[end].get(run.runId)?.join(" ");
    if (keys !== wanted) say(`steps ${end}: ${keys}; without kills: ${wanted}`);
  }
  if (run.journalLength !== journal.length) {
    say(`its journal has ${journal.length} entries, the run says ${run.journalLength}`);
  }
}

/** Gapless, one beginning, one end, fences that only grow, every key ended exactly once. */
function checkJournal(journal: readonly JournalEntry[], say: Say): void {
  let fence = 0;
  const opened = new Map<string, number>();
  for (const [index, entry] of journal.entries()) {
    if (entry.seq !== index + 1) say(`journal entry ${index + 1} has number ${entry.seq}`);
    if ((index === 0) !== (entry.type === "run.started"))
      say(`entry ${entry.seq} is ${entry.type}`);
    if (entry.fence !== 0) {
      if (entry.fence < fence) say(`entry ${entry.seq} has fence ${entry.fence} after ${fence}`);
      fence = entry.fence;
    }
    if (entry.type === "workflow.wait.created") add(opened, entry.stepKey, 1);
    if (entry.type === "workflow.wait.resolved") add(opened, entry.stepKey, -1);
  }
  for (const [key, open] of opened)
    if (open !== 0) say(`wait ${key} is open ${open} times at the end`);
  for (const [what, type] of [
    ["completed", "workflow.step.completed"],
    ["resolved", "workflow.wait.resolved"],
    ["failed", "workflow.step.failed"],
  ] as const) {
    const ends = journal.filter((entry) => entry.type === type);
    for (const [key, entries] of Map.groupBy(ends, ({ stepKey }) => stepKey)) {
      if (entries.length > 1) say(`${key} was ${what} ${entries.length} times`);
    }
  }
  const last = journal.at(-1)?.type ?? "nothing";
  if (!terminal.has(last)) say(`its last entry is ${last}`);
  const ends = journal.filter(({ type }) => terminal.has(type)).length;
  const retries = journal.filter(({ type }) => type === "run.retried").length;
  if (ends !== 1 + retries) say(`it ended ${ends} times and was retried ${retries} times`);
}

/** No step executes after its result, or its final failure, was acknowledged. */
function checkExecutions(
  effects: readonly Effect[],
  pardons: Set<number>,
  retried: boolean,
  say: Say,
): void {
  const settled = new Map<string, Effect>();
  for (const effect of effects) {
    if (effect.kind !== "executed") {
      settled.set(effect.key, effect);
      continue;
    }
    const before = settled.get(effect.key);
    if (before === undefined || pardons.delete(effect.pid)) continue;
    // The failure that ended a run is superseded when the run is tried again.
    if (before.kind === "refused" && retried && effect.attempt > before.attempt) continue;
    say(
      `${effect.key} executed in process ${effect.pid} (attempt ${effect.attempt}) after ` +
        `process ${before.pid} had it ${before.kind}`,
    );
  }
}

/** User code saw what is recorded, which is what one execution, by the worker named, made. */
function checkResults(
  journal: readonly JournalEntry[],
  effects: readonly Effect[],
  pids: ReadonlyMap<string, number>,
  say: Say,
): void {
  const executed = new Map<string, Effect>();
  const acknowledged = new Map<string, Set<string>>();
  for (const effect of effects) {
    if (effect.kind === "executed") executed.set(effect.nonce, effect);
    if (effect.kind !== "acknowledged") continue;
    const nonces = acknowledged.get(effect.key) ?? new Set();
    acknowledged.set(effect.key, nonces.add(effect.nonce));
  }
  for (const [key, nonces] of acknowledged) {
    if (nonces.size > 1) say(`user code got ${nonces.size} different results of ${key}`);
  }
  const recorded = new Set<string>();
  for (const entry of journal) {
    if (entry.type !== "workflow.step.completed" || entry.stepKey.includes("value:")) continue;
    const { stepKey: key, attempt, workerId } = entry;
    recorded.add(key);
    const { nonce } = parse(entry) as { nonce?: string };
    const origin = executed.get(nonce ?? "");
    if (origin === undefined) say(`${key} is recorded with a result that no execution made`);
    else if (origin.key !== key) say(`${key} is recorded with the result of ${origin.key}`);
    else if (origin.attempt !== attempt) {
      say(`${key} is recorded as attempt ${attempt}, its body was told ${origin.attempt}`);
    } else if (pids.get(workerId) !== origin.pid) {
      say(`${key} is recorded as done by ${workerId}, it was done by process ${origin.pid}`);
    }
    const seen = acknowledged.get(key);
    if (seen === undefined) say(`${key} is recorded, but user code never got it`);
    else if (!seen.has(nonce ?? ""))
      say(`${key} is recorded with a result that user code never got`);
  }
  for (const key of acknowledged.keys()) {
    if (!key.startsWith("(") && !recorded.has(key))
      say(`${key} was acknowledged, but is not recorded`);
  }
}

function keysOf(journal: readonly JournalEntry[], end: "completed" | "failed"): string[] {
  const superseded = new Set<string>();
  for (const { type, details } of journal) {
    if (type !== "run.retried") continue;
    for (const key of JSON.parse(details.superseded ?? "[]") as string[]) superseded.add(key);
  }
  return journal
    .filter(({ type }) => type === `workflow.step.${end}`)
    .map(({ stepKey }) => stepKey)
    .filter((key) => end === "completed" || !superseded.has(key))
    .sort();
}

function outputOf({ run }: RunRecord): string {
  return run.output === undefined ? "nothing" : Buffer.from(run.output.data).toString("utf8");
}

function parse(entry: JournalEntry): unknown {
  const { payload } = entry;
  if (payload === undefined || payload.data.length === 0) return {};
  return JSON.parse(Buffer.from(payload.data).toString("utf8")) ?? {};
}

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
