import type { Tenant } from "../../model/caller.ts";
import type { Entry } from "../../model/entry.ts";
import type { RunHeader, StatusReason } from "../../model/run.ts";
import type { Store } from "../../store/store.ts";
import { WHOLE_PAGE } from "../journal/journal-reads.ts";
import { type Outlook, SERVED } from "./run-outlook.ts";
import type { RunView } from "./run-types.ts";

/** What a run's status means and what to do next, where the status alone does not say. */
export function explain(
  header: RunHeader,
  now: number,
  outlook: Outlook,
): { reason: StatusReason; detail: string } {
  switch (header.status) {
    case "QUEUED":
      if (header.reason === "DEBOUNCED") return { reason: header.reason, detail: heldBack(header) };
      if (header.startAt > now && header.startedAt === 0) {
        return {
          reason: "DELAYED",
          detail: `Starts at ${new Date(header.startAt).toISOString()}.`,
        };
      }
      if (header.reason !== "") return { reason: header.reason, detail: heldBack(header) };
      if (outlook.served) return { reason: "", detail: "" };
      return {
        reason: "NO_WORKER",
        detail: `${noWorker(header)}${outlook.unknown ?? ""} Start one; the run then continues automatically.`,
      };
    case "RUNNING":
      if (header.intent !== "pause") return { reason: "", detail: "" };
      return { reason: "PAUSING", detail: "Pauses once the steps in flight have ended." };
    case "CANCELLING":
      if (outlook.served) return { reason: header.reason, detail: cleaningUp(header) };
      return { reason: header.reason || "NO_WORKER", detail: cleaningUp(header, noWorker(header)) };
    case "WAITING":
      return { reason: "", detail: `${waitingFor(header)}${outlook.children ?? ""}` };
    case "PAUSED":
      return { reason: header.reason, detail: pausedBecause(header) };
    case "COMPLETED":
      return { reason: "", detail: "" };
    case "FAILED":
    case "CANCELLED":
      return { reason: "", detail: endedWith(header) };
  }
}

/** The same for a list, which shows no failure beside it. */
export function explainInList(
  header: RunHeader,
  now: number,
  outlook: Outlook,
): { reason: StatusReason; detail: string } {
  const { reason, detail } = explain(header, now, outlook);
  const { failure = "" } = header.notes;
  return { reason, detail: [failure, detail].filter((text) => text !== "").join(" ") };
}

function noWorker({ workflow, version, queue }: RunHeader): string {
  const at = version === "" ? "" : ` at version "${version}"`;
  return `No live worker serves the workflow "${workflow}"${at} on queue "${queue}".`;
}

function cleaningUp({ lease, reason, notes }: RunHeader, noWorker?: string): string {
  const { cancelReason } = notes;
  const why =
    reason === "RUN_TIMEOUT"
      ? "Timed out; the run fails after its cleanup. "
      : cancelReason === undefined
        ? ""
        : `Cancelled: ${cancelReason}. `;
  if (noWorker !== undefined)
    return `${why}The run waits for a worker to clean up. ${noWorker} Start one, or cancel the run by force.`;
  return `${why}${lease === null ? "The run waits for a worker to clean up." : "Its worker is cleaning up."}`;
}

function pausedBecause(header: RunHeader): string {
  const { reason, notes } = header;
  if (reason === "CRASH_LOOP") return crashLoop(header);
  if (reason !== "PAUSED_BY_OPERATOR" || notes.pauseReason === undefined)
    return PAUSED[reason] ?? "";
  return `Paused by an operator: ${notes.pauseReason}. Resume it to continue.`;
}

function endedWith({ notes }: RunHeader): string {
  const { cancelReason, undone } = notes;
  const why = cancelReason === undefined ? "" : `Cancelled: ${cancelReason}.`;
  if (undone === undefined) return why;
  const left =
    undone === "unknown"
      ? "It is unknown whether compensations are pending"
      : `These compensations are pending: ${undone.join(", ")}`;
  return `${why} ${left}; a retry executes them.`.trim();
}

function heldBack({ reason, workflow, options }: RunHeader): string {
  if (reason === "DEBOUNCED")
    return `Starts once no further start with the key "${options.debounce?.key ?? ""}" arrives.`;
  const { concurrency, rate } = options;
  const of = (key: string): string => `"${workflow}"${key === "" ? "" : ` with the key "${key}"`}`;
  if (reason === "RATE_LIMIT" && rate !== undefined)
    return `Rate-limited: at most ${rate.limit} starts of ${of(rate.key)} in ${periodOf(rate.periodMs)}. It starts automatically.`;
  if (concurrency === undefined) return "";
  return `Waiting for a concurrency slot: at most ${concurrency.limit} concurrent runs of ${of(concurrency.key)}. It starts when one of them ends or waits.`;
}

const UNITS: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
];

/** A period in the largest unit that divides it: `1 min`. */
function periodOf(ms: number): string {
  const [size, unit] = UNITS.find(([each]) => ms % each === 0) ?? [1, "ms"];
  return `${ms / size} ${unit}`;
}

function waitingFor(header: RunHeader): string {
  const waits = header.waiting?.waits ?? [];
  const first = waits[0];
  if (first === undefined) return "";
  const due = first.due === undefined ? "" : ` until ${new Date(first.due).toISOString()}`;
  const more = waits.length === 1 ? "" : ` and ${waits.length - 1} more`;
  return `Waiting for ${first.kind} "${first.name}"${due}${more}.`;
}

const PAUSED: Partial<Record<string, string>> = {
  PAUSED_BY_OPERATOR: "Paused by an operator. Resume it to continue.",
  NON_DETERMINISM:
    "The workflow code no longer matches this run's history; see the failure. Deploy compatible code and resume the run, or cancel it.",
  RETRIES_EXHAUSTED:
    "A step used up its attempts. Fix the cause and retry the run, which gives the step new attempts, or cancel it.",
  UNKNOWN_OUTCOME:
    "An at-most-once step was started, and its end is not recorded. Find out whether it had its effect. Retry the run to execute the step again, or cancel it.",
  DATA_CORRUPTED:
    "An entry of its journal is damaged on disk, so no worker can continue with it. Restore the database from a backup and resume the run, or cancel it.",
};

function crashLoop({ crashes, notes }: RunHeader): string {
  const { crash } = notes;
  const next = "Fix the cause, then retry the run, or cancel it.";
  if (crash === undefined)
    return `Its workers crashed ${crashes} times in a row, in an unknown step. ${next}`;
  const { stepKey, workers } = crash;
  const who = workers.length === 1 ? "a worker" : `${workers.length} workers`;
  return `The step "${stepKey}" was in flight when ${who} crashed (${workers.join(", ")}). ${next}`;
}

/** The run with its result or failure, read from its last journal entry, and its input if asked for. */
export async function viewOf(
  store: Store,
  caller: Tenant,
  header: RunHeader,
  now: number,
  outlook: Outlook,
  { withInput }: { readonly withInput: boolean },
): Promise<RunView> {
  const ended = header.endedAt !== 0 || header.status === "PAUSED";
  const [[input], outcome] = await Promise.all([
    withInput ? readInput(store, caller, header) : [undefined],
    ended ? readOutcome(store, caller, header) : undefined,
  ]);
  return {
    header,
    ...explain(header, now, outlook),
    ...(input?.payload === undefined ? {} : { input: input.payload }),
    ...outcomeOf(outcome),
  };
}

/** The same of a run that has just ended, from the entries that were committed with its end. */
export function endedView(
  { ...header }: RunHeader,
  now: number,
  entries: readonly Entry[],
): RunView | undefined {
  const outcome = entries.findLast((entry) => isOutcome(entry, header));
  // It had ended before, and something else was committed.
  if (outcome === undefined) return undefined;
  return { header, ...explain(header, now, SERVED), ...outcomeOf(outcome) };
}

function outcomeOf(outcome: Entry | undefined): Pick<RunView, "output" | "failure"> {
  const output = outcome?.type === "run.completed" ? outcome.payload : undefined;
  const failure = outcome?.meta.failure;
  return {
    ...(output === undefined ? {} : { output }),
    ...(failure === undefined ? {} : { failure }),
  };
}

/** The entry that has the input. */
async function readInput(
  store: Store,
  caller: Tenant,
  { runId, options }: RunHeader,
): Promise<(Entry | undefined)[]> {
  if (options.debounce === undefined) return store.readEntries(caller, runId, [1]);
  const { entries } = await store.readJournal(caller, runId, 0, WHOLE_PAGE);
  return [entries.findLast(({ type }) => type === "run.input.replaced") ?? entries[0]];
}

/** The outcome is the last entry, or one of the last: tags and signals may come after it. */
const WINDOW_MAX = 512;

async function readOutcome(
  store: Store,
  caller: Tenant,
  header: RunHeader,
): Promise<Entry | undefined> {
  let window = 2;
  for (let last = header.seq; last > 1; last -= window) {
    window = Math.min(window * 4, WINDOW_MAX);
    const from = Math.max(2, last - window + 1);
    const seqs = Array.from({ length: last - from + 1 }, (_, index) => from + index);
    const entries = await store.readEntries(caller, header.runId, seqs);
    const outcome = entries.findLast((entry) => entry !== undefined && isOutcome(entry, header));
    if (outcome !== undefined) return outcome;
  }
  return undefined;
}

function isOutcome(entry: Entry, header: RunHeader): boolean {
  const types: Partial<Record<RunHeader["status"], Entry["type"]>> = {
    COMPLETED: "run.completed",
    FAILED: "run.failed",
    CANCELLED: "run.cancelled",
    PAUSED: "run.paused",
  };
  return entry.type === types[header.status];
}
