/** What a run's journal says about each step key: the memo that a replay reads. */
import { type Failure, type JournalEntry, StepKind } from "@pawl/proto";
import type { ReceivedPayload } from "../codec/payload.ts";
import { msFrom } from "../duration.ts";

/** The record of a step or wait that has ended. */
export interface MemoRecord {
  /** Its place in the journal: replay hands results out in this order. */
  readonly seq: number;
  readonly kind: StepKind;
  readonly attempt: number;
  readonly payload: ReceivedPayload | undefined;
  readonly failure: Failure | undefined;
  /** How a wait ended; empty for steps. */
  readonly outcome: string;
  /** Of a wait: who answered, and the like. */
  readonly details: Readonly<Record<string, string>>;
  readonly inputDigest: string;
  readonly definitionDigest: string;
  readonly childRunId: string;
}

/** A step whose last attempt failed, with another one to come. */
export interface Backing {
  readonly attempt: number;
  /** When the next attempt is due, in ms since the epoch, by the server's clock. */
  readonly untilMs: number;
}

const noDetails: Readonly<Record<string, string>> = Object.freeze({});

export class Memo {
  readonly #records = new Map<string, MemoRecord>();
  readonly #attempts = new Map<string, number>();
  readonly #backing = new Map<string, Backing>();
  /** The attempt of each wait that was registered and has not been resolved. */
  readonly #openWaits = new Map<string, number>();
  /** Where the registration of each callback is in the journal. */
  readonly #callbacks = new Map<string, number>();
  readonly #asked = new Set<string>();
  /** Why the run is being cancelled; empty where nobody said. */
  cancelReason = "";
  /** Attempts that were started, and whose end is not recorded. */
  readonly #begun = new Map<string, { attempt: number; startMs: number }>();
  #lastMs = 0;
  #startedMs = 0;
  #retries = 0;
  #lastSeq = 0;

  /** Adds the next entries of the journal. */
  add(entries: readonly JournalEntry[]): void {
    for (const entry of entries) {
      this.#lastSeq = Math.max(this.#lastSeq, entry.seq);
      if (entry.type === "run.cancelling") this.cancelReason = entry.details.reason ?? "";
      this.#lastMs = entry.recordedAt === undefined ? 0 : msFrom(entry.recordedAt);
      if (entry.type === "run.started") this.#startedMs = this.#lastMs;
      if (entry.type === "run.retried") this.#supersede(entry);
      else if (entry.stepKey !== "") this.#addStep(entry);
    }
  }

  #supersede(entry: JournalEntry): void {
    this.#retries += 1;
    this.#startedMs = this.#lastMs;
    const keys: unknown = JSON.parse(entry.details.superseded || "[]");
    if (!Array.isArray(keys)) return;
    for (const key of keys) {
      this.#records.delete(String(key));
      this.#backing.delete(String(key));
      this.#openWaits.delete(String(key));
    }
  }

  #addStep(entry: JournalEntry): void {
    const key = entry.stepKey;
    switch (entry.type) {
      case "workflow.step.completed":
      case "workflow.step.failed":
      case "workflow.wait.resolved":
        this.#set(key, recordOf(entry));
        break;
      case "workflow.step.retrying":
        this.#backing.set(key, {
          attempt: entry.attempt,
          untilMs: entry.until === undefined ? 0 : msFrom(entry.until),
        });
        this.#begun.delete(key);
        break;
      case "workflow.step.started":
        this.#begun.set(key, { attempt: entry.attempt, startMs: this.#lastMs });
        break;
      case "workflow.wait.created":
        this.#openWaits.set(key, entry.attempt);
        if (entry.kind === StepKind.CALLBACK) this.#callbacks.set(key, entry.seq);
        break;
      default:
        break;
    }
    const attempts = this.#attempts.get(key) ?? 0;
    if (entry.attempt > attempts) this.#attempts.set(key, entry.attempt);
  }

  #set(key: string, record: MemoRecord): void {
    this.#records.set(key, record);
    this.#begun.delete(key);
    this.#backing.delete(key);
    this.#openWaits.delete(key);
  }

  /** Notes what this worker has just recorded, where it may be asked for again. */
  remember(key: string, record: MemoRecord): void {
    this.#set(key, record);
    this.#asked.add(key);
  }

  /** Frees what was recorded inside of a step that is done: nobody will ask for it again. */
  forgetWithin(key: string): void {
    for (const inner of this.#records.keys()) {
      if (inner.startsWith(`${key}/`)) this.#records.delete(inner);
    }
  }

  /** The record of a key; it counts as asked for from now on. */
  take(key: string): MemoRecord | undefined {
    const record = this.#records.get(key);
    if (record !== undefined) this.#asked.add(key);
    return record;
  }

  /** Frees the record of a key that nobody will ask for again. */
  forget(key: string): void {
    this.#records.delete(key);
  }

  /** The highest attempt known of a step; 0 when it never ran. */
  attempts(key: string): number {
    return this.#attempts.get(key) ?? 0;
  }

  /** The attempt that a wait is on: the one that is registered, else the next. */
  waitAttempt(key: string): number {
    return this.#openWaits.get(key) ?? this.attempts(key) + 1;
  }

  /** Registered, and not resolved as far as is known here. */
  isOpenWait(key: string): boolean {
    return this.#openWaits.has(key);
  }

  /** The place in the journal at which a callback was registered. */
  createdSeq(key: string): number {
    return this.#callbacks.get(key) ?? 0;
  }

  /** How a wait ended; undefined where that is not on record. */
  outcome(key: string): string | undefined {
    return this.#records.get(key)?.outcome;
  }

  noteAttempt(key: string, attempt: number): void {
    this.#attempts.set(key, attempt);
  }

  /** When the run was started, or retried the last time, in ms since the epoch; 0: not known. */
  get startedMs(): number {
    return this.#startedMs;
  }

  /** How often the run was retried after it had failed. */
  get retries(): number {
    return this.#retries;
  }

  /** An attempt that went down with its worker, the first time it is asked for. */
  takeLost(key: string): { attempt: number; startMs: number; endMs: number } | undefined {
    const begun = this.#begun.get(key);
    if (begun === undefined) return undefined;
    this.#begun.delete(key);
    return { ...begun, endMs: this.#lastMs };
  }

  backing(key: string): Backing | undefined {
    return this.#backing.get(key);
  }

  get size(): number {
    return this.#records.size;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The finally failed steps inside of a step, innermost last recorded first. */
  failedWithin(key: string): string[] {
    const found: [string, number][] = [];
    for (const [inner, record] of this.#records) {
      if (record.failure !== undefined && inner.startsWith(`${key}/`))
        found.push([inner, record.seq]);
    }
    return found.sort((a, b) => a[1] - b[1]).map(([inner]) => inner);
  }

  /** Records that the code never asked for, apart from those inside of a step that it did ask for. */
  unconsumed(keysMax: number): string[] {
    const keys: string[] = [];
    for (const key of this.#records.keys()) {
      if (keys.length >= keysMax) break;
      if (!this.#asked.has(key) && !this.#ancestorAsked(key)) keys.push(key);
    }
    return keys;
  }

  #ancestorAsked(key: string): boolean {
    for (let at = key.lastIndexOf("/"); at > 0; at = key.lastIndexOf("/", at - 1)) {
      if (this.#asked.has(key.slice(0, at))) return true;
    }
    return false;
  }
}

/** A journal entry that ends a step or wait, as a record. */
export function recordOf(entry: JournalEntry): MemoRecord {
  return {
    seq: entry.seq,
    kind: entry.kind,
    attempt: entry.attempt,
    payload: entry.payload,
    failure: entry.failure,
    outcome: entry.outcome,
    details: entry.outcome === "" ? noDetails : entry.details,
    inputDigest: entry.inputDigest,
    definitionDigest: entry.definitionDigest,
    childRunId: entry.details.child_run_id ?? "",
  };
}
