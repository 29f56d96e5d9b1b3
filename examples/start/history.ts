/** A run's journal, read as the story of each of its steps. */

/** What is needed of a journal entry; see JournalEntry in the contract. */
export interface Entry {
  readonly seq: number;
  readonly type: string;
  readonly stepKey: string;
  readonly attempt: number;
  readonly workerId: string;
  /** By the server's clock, in ms since the epoch. */
  readonly atMs: number;
  /** How long the step took by the worker's clock. */
  readonly latencyMs: number;
  /** What was recorded; undefined also where it is large. */
  readonly value: unknown;
}

/** A time in which a step ran, in ms since the epoch. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  readonly workerId: string;
}

export interface StepHistory {
  readonly key: string;
  /** What the step belongs to: a file, the step around it, or itself. */
  readonly group: string;
  /** Its name in the group; empty where it is the group. */
  readonly name: string;
  /** The execution whose result was recorded. */
  readonly recorded: Span & { readonly seq: number; readonly attempt: number };
  /** The execution that the crash ended, where the journal knows of it. */
  readonly lost: Span | undefined;
  /** The result was there before the crash, and the second worker got it from the journal. */
  readonly replayed: boolean;
}

export interface History {
  readonly entries: readonly Entry[];
  readonly startMs: number;
  readonly endMs: number;
  /** The entry in which the server took the run from the killed worker. */
  readonly recovery: Entry | undefined;
  /** Those of a group one after the other, in the order in which they started. */
  readonly steps: readonly StepHistory[];
  /** The type of the last entry, such as run.completed. */
  readonly outcome: string;
}

/** Reads the journal of a run that has ended and lost its worker at most once. */
export function readHistory(entries: readonly Entry[]): History {
  const recovery = entries.find(({ type }) => type === "run.recovered");
  const steps: StepHistory[] = [];
  for (const entry of entries) {
    if (entry.type !== "workflow.step.completed") continue;
    const { seq, attempt, workerId, atMs, latencyMs, stepKey } = entry;
    const replayed = recovery !== undefined && seq < recovery.seq;
    steps.push({
      key: stepKey,
      ...nameStep(stepKey),
      recorded: { seq, attempt, workerId, fromMs: atMs - latencyMs, toMs: atMs },
      lost: replayed ? undefined : findLost(entries, stepKey, recovery),
      replayed,
    });
  }
  return {
    entries,
    startMs: Math.min(...entries.map(({ atMs }) => atMs)),
    endMs: Math.max(...entries.map(({ atMs }) => atMs)),
    recovery,
    steps: sortSteps(steps),
    outcome: entries.at(-1)?.type ?? "",
  };
}

/** Of steps that started at about the same time, in ms. */
const sameMs = 20;

function sortSteps(steps: readonly StepHistory[]): StepHistory[] {
  // Two clocks: what is closer together than this is in the order in which it was recorded.
  const begin = (step: StepHistory) =>
    Math.round((step.lost?.fromMs ?? step.recorded.fromMs) / sameMs);
  /** A step that has others in it comes before them, though it is recorded after them. */
  const isWhole = (step: StepHistory) => (step.name === "" ? 0 : 1);
  const sorted = [...steps].sort(
    (a, b) => begin(a) - begin(b) || isWhole(a) - isWhole(b) || a.recorded.seq - b.recorded.seq,
  );
  return [...Map.groupBy(sorted, ({ group }) => group).values()].flat();
}

function findLost(
  entries: readonly Entry[],
  key: string,
  recovery: Entry | undefined,
): Span | undefined {
  if (recovery === undefined) return undefined;
  const start = entries.findLast(
    ({ type, stepKey, seq }) =>
      type === "workflow.step.started" && stepKey === key && seq < recovery.seq,
  );
  if (start === undefined) return undefined;
  return { fromMs: start.atMs, toMs: recovery.atMs, workerId: recovery.workerId };
}

/** `map:file/docs%2Fcli.md/rank` is `rank` of `docs/cli.md`. */
export function nameStep(key: string): { readonly group: string; readonly name: string } {
  const segments = key
    .split("/")
    .filter((segment) => !/^(?:map|all|scope):/.test(segment))
    .map(decodeSegment);
  const [group = "", ...names] = segments;
  return { group, name: names.join(" ") };
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // A lone percent sign in a key that was given as it is.
    return segment;
  }
}
