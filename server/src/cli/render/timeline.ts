/** The journal of a run as rows of spans over time: what `pawl inspect` draws. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type JournalEntry, StepKind } from "@pawl/proto";
import { describeFailure } from "./text.ts";
import { outcomeName } from "./wait-outcome.ts";

export type SpanKind = "done" | "failed" | "cancelled" | "lost" | "running" | "waiting" | "backoff";

/** Times in ms since the epoch. */
export interface Span {
  readonly kind: SpanKind;
  readonly from: number;
  readonly to: number;
  readonly attempt: number;
  readonly worker: string;
}

export interface Row {
  readonly key: string;
  /** UNSPECIFIED for a scope that is not a step itself. */
  readonly kind: StepKind;
  /** How many scopes it is in. */
  readonly depth: number;
  readonly spans: Span[];
  /** How it ended: an outcome, or empty while it has not. */
  outcome: string;
  /** Who ended the wait, if known. */
  by: string;
  /** Why its last attempt failed. */
  error: string;
  /** Whether a retry of the run will execute it again. */
  superseded: boolean;
}

/** Something that concerns the whole run. */
export interface Mark {
  readonly at: number;
  readonly text: string;
}

export interface Timeline {
  readonly from: number;
  readonly to: number;
  readonly rows: readonly Row[];
  readonly marks: readonly Mark[];
  readonly workers: readonly string[];
}

/**
 * Folds a journal.
 *
 * @param now the end of what is still going on, in ms since the epoch
 * @param ended whether the run has ended
 */
export function foldJournal(
  journal: readonly JournalEntry[],
  now: number,
  ended: boolean,
): Timeline {
  const fold = new Fold();
  for (const entry of journal) fold.add(entry);
  const last = atOf(journal.at(-1)) ?? now;
  return fold.finish(atOf(journal[0]) ?? now, ended ? last : now, ended);
}

function atOf(entry: JournalEntry | undefined): number | undefined {
  return entry?.recordedAt === undefined ? undefined : timestampMs(entry.recordedAt);
}

interface Open {
  readonly kind: "running" | "waiting" | "backoff";
  readonly from: number;
  readonly until: number;
  readonly attempt: number;
  readonly worker: string;
}

class Fold {
  readonly #rows = new Map<string, Row>();
  /** What has begun and not ended, by step key. */
  readonly #open = new Map<string, Open>();
  readonly #marks: Mark[] = [];
  readonly #workers = new Set<string>();

  add(entry: JournalEntry): void {
    const at = atOf(entry) ?? 0;
    if (entry.workerId !== "") this.#workers.add(entry.workerId);
    if (entry.stepKey === "") this.#mark(entry, at);
    else this.#step(entry, at);
  }

  finish(from: number, end: number, ended: boolean): Timeline {
    for (const [key, open] of this.#open) {
      if (open.kind === "backoff" && ended) continue;
      const kind = ended && open.kind === "running" ? "lost" : open.kind;
      this.#close(key, kind, open.from, end, open.attempt, open.worker);
    }
    const rows = inScopes([...this.#rows.values()]);
    let first = from;
    for (const row of rows) first = Math.min(first, beginOf(row));
    const to = Math.max(end, first + 1);
    return { from: first, to, rows, marks: this.#marks, workers: [...this.#workers] };
  }

  #row(entry: JournalEntry): Row {
    let row = this.#rows.get(entry.stepKey);
    if (row === undefined) {
      row = {
        key: entry.stepKey,
        kind: entry.kind,
        depth: entry.stepKey.split("/").length - 1,
        spans: [],
        outcome: "",
        by: "",
        error: "",
        superseded: false,
      };
      this.#rows.set(entry.stepKey, row);
    }
    return row;
  }

  #close(key: string, kind: SpanKind, from: number, to: number, attempt: number, worker: string) {
    this.#rows.get(key)?.spans.push({ kind, from, to: Math.max(from, to), attempt, worker });
  }

  #step(entry: JournalEntry, at: number): void {
    const row = this.#row(entry);
    const { stepKey: key, attempt, workerId: worker } = entry;
    const open = this.#open.get(key);
    if (open?.kind === "backoff") {
      this.#close(key, "backoff", open.from, Math.min(open.until, at), open.attempt, "");
      this.#open.delete(key);
    }
    switch (entry.type) {
      case "workflow.step.started":
        if (open?.kind === "running")
          this.#close(key, "lost", open.from, at, open.attempt, open.worker);
        this.#open.set(key, { kind: "running", from: at, until: at, attempt, worker });
        return;
      case "workflow.step.completed":
        this.#end(row, "done", entry, at);
        row.outcome = "completed";
        row.error = "";
        return;
      case "workflow.step.failed":
      case "workflow.step.retrying": {
        this.#end(row, "failed", entry, at);
        row.error = describeFailure(entry.failure);
        if (entry.type === "workflow.step.failed") row.outcome = "failed";
        else {
          const until = entry.until === undefined ? at : timestampMs(entry.until);
          this.#open.set(key, { kind: "backoff", from: at, until, attempt, worker: "" });
        }
        return;
      }
      case "workflow.step.cancelled":
        this.#end(row, "cancelled", entry, at);
        row.outcome = "cancelled";
        return;
      case "workflow.wait.created": {
        const until =
          entry.until === undefined ? Number.POSITIVE_INFINITY : timestampMs(entry.until);
        this.#open.set(key, { kind: "waiting", from: at, until, attempt, worker: "" });
        return;
      }
      case "workflow.wait.resolved":
        this.#close(key, "waiting", open?.from ?? at, at, attempt, "");
        this.#open.delete(key);
        row.outcome = outcomeName(entry.outcome);
        row.by = entry.details.actor ?? "";
        return;
      case "workflow.wait.closed":
        this.#close(key, "waiting", open?.from ?? at, at, attempt, "");
        this.#open.delete(key);
        row.outcome = entry.details.why ?? "closed";
        return;
      default:
    }
  }

  #end(row: Row, kind: "done" | "failed" | "cancelled", entry: JournalEntry, at: number): void {
    const open = this.#open.get(row.key);
    const began = open?.kind === "running" && open.attempt === entry.attempt ? open.from : at;
    const from = Math.min(began, at - entry.latencyMs);
    this.#close(row.key, kind, from, at, entry.attempt, entry.workerId);
    this.#open.delete(row.key);
    row.superseded = false;
  }

  #mark(entry: JournalEntry, at: number): void {
    if (entry.type === "run.recovered") {
      for (const [key, open] of this.#open) {
        if (open.kind !== "running") continue;
        this.#close(key, "lost", open.from, at, open.attempt, open.worker);
        this.#open.delete(key);
      }
    }
    if (entry.type === "run.retried") {
      for (const key of supersededKeys(entry)) {
        const row = this.#rows.get(key);
        if (row === undefined) continue;
        row.outcome = "";
        row.superseded = true;
      }
    }
    const text = describeMark(entry);
    if (text !== "") this.#marks.push({ at, text });
  }
}

function beginOf(row: Row): number {
  let begin = Number.POSITIVE_INFINITY;
  for (const span of row.spans) begin = Math.min(begin, span.from);
  return begin;
}

interface Scope {
  readonly key: string;
  row: Row | undefined;
  begin: number;
  readonly inner: Map<string, Scope>;
}

/** Rows below the scope that they are in, siblings by when they began. */
function inScopes(rows: readonly Row[]): Row[] {
  const root: Scope = { key: "", row: undefined, begin: 0, inner: new Map() };
  for (const row of rows) {
    let scope = root;
    let key = "";
    for (const segment of row.key.split("/")) {
      key = key === "" ? segment : `${key}/${segment}`;
      let inner = scope.inner.get(segment);
      if (inner === undefined) {
        inner = { key, row: undefined, begin: Number.POSITIVE_INFINITY, inner: new Map() };
        scope.inner.set(segment, inner);
      }
      inner.begin = Math.min(inner.begin, beginOf(row));
      scope = inner;
    }
    scope.row = row;
  }
  const ordered: Row[] = [];
  const visit = (scope: Scope, depth: number): void => {
    ordered.push(scope.row ?? scopeRow(scope.key, depth));
    for (const inner of byBegin(scope)) visit(inner, depth + 1);
  };
  for (const scope of byBegin(root)) visit(scope, 0);
  return ordered;
}

function byBegin(scope: Scope): Scope[] {
  return [...scope.inner.values()].sort((a, b) => a.begin - b.begin);
}

function scopeRow(key: string, depth: number): Row {
  return {
    key,
    kind: StepKind.UNSPECIFIED,
    depth,
    spans: [],
    outcome: "",
    by: "",
    error: "",
    superseded: false,
  };
}

function supersededKeys(entry: JournalEntry): string[] {
  const keys: unknown = JSON.parse(entry.details.superseded ?? "[]");
  return Array.isArray(keys) ? keys.map(String) : [];
}

function describeMark(entry: JournalEntry): string {
  const why = entry.details.reason ?? "";
  switch (entry.type) {
    case "run.recovered":
      return why === "restarted"
        ? "the server restarted; the run went back to the queue"
        : `worker ${entry.workerId} was lost (${why}); the run went back to the queue`;
    case "run.paused":
      return `paused: ${why || "by an operator"}`;
    case "run.resumed":
      return "resumed";
    case "run.retried":
      return "retried from its failed step";
    case "run.cancelling":
      return `is being cancelled${why === "" ? "" : `: ${why}`}`;
    case "run.cancelled":
      return `cancelled${why === "" ? "" : `: ${why}`}`;
    case "run.failed":
      return `failed: ${describeFailure(entry.failure)}`;
    case "workflow.signal.received":
      return `signal ${entry.details.signal_name ?? ""} received`;
    default:
      return "";
  }
}
