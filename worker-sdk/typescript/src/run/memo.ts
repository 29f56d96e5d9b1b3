// Section M of docs/replay-machine.md.
/**
 * What a run's journal says about each step key: the memo that a replay reads. Of a long journal
 * only the first payloads are kept; the others are read again, page by page, as the replay comes to
 * them, so that a worker's memory does not grow with what a run has recorded.
 */
import { type Failure, type JournalEntry, StepKind, WaitOutcome } from "@pawl/proto";
import type { ReceivedPayload } from "../codec/payload.ts";
import { msFrom } from "../duration.ts";
import { wordOf } from "../lib/words.ts";
import { limits } from "../limits.ts";

/** The record of a step or wait that has ended. */
export interface MemoRecord {
  /** Its place in the journal: replay hands results out in this order. */
  readonly seq: number;
  readonly kind: StepKind;
  readonly attempt: number;
  readonly payload: ReceivedPayload | undefined;
  /** There is a payload, and it is to be read from the journal. */
  readonly late: boolean;
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

/** The entries after a place in the journal: as many as one page has. */
export type ReadPage = (afterSeq: number) => Promise<readonly JournalEntry[]>;

const noDetails: Readonly<Record<string, string>> = Object.freeze({});

export class Memo {
  readonly #readPage: ReadPage | undefined;
  #payloadBytes = 0;
  /** Late payloads of the page that was read last, by seq. */
  #page = new Map<number, ReceivedPayload | undefined>();
  readonly #records = new Map<string, MemoRecord>();
  readonly #attempts = new Map<string, number>();
  readonly #backing = new Map<string, Backing>();
  /** The attempt of each wait that was registered and has not been resolved. */
  readonly #openWaits = new Map<string, number>();
  /** Waits for children that the server has closed. Those continue for as long as the code may ask again. */
  readonly #closedChildren = new Set<string>();
  /** Where the registration of each callback is in the journal. */
  readonly #callbacks = new Map<string, number>();
  readonly #asked = new Set<string>();
  /** Why the run is being cancelled; empty where nobody said. */
  cancelReason = "";
  /** The place of the last record that the journal came with: a replay is over once it is handed out. */
  lastRecordSeq = 0;
  /** The place of the last entry that a worker sent; 0: none has started the code. */
  lastWorkSeq = 0;
  /** Attempts that were started, and whose end is not recorded. */
  readonly #begun = new Map<string, { attempt: number; startMs: number }>();
  #lastMs = 0;
  #startedMs = 0;
  #retries = 0;
  #lastSeq = 0;

  /** `readPage`: without it all payloads are kept. */
  constructor(readPage?: ReadPage) {
    this.#readPage = readPage;
  }

  /** Adds the next entries of the journal. */
  add(entries: readonly JournalEntry[]): void {
    for (const entry of entries) {
      this.#lastSeq = Math.max(this.#lastSeq, entry.seq);
      if (entry.type === "run.cancelling") this.#cancelled(entry);
      this.#lastMs = entry.recordedAt === undefined ? 0 : msFrom(entry.recordedAt);
      if (entry.type === "run.started") this.#startedMs = this.#lastMs;
      if (entry.type === "run.retried") this.#supersede(entry);
      else if (entry.stepKey !== "") this.#addStep(entry);
    }
  }

  /** From then on nothing that the code waited for came. */
  #cancelled({ details }: JournalEntry): void {
    this.cancelReason = details.reason ?? "";
    this.#openWaits.clear();
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
    this.lastRecordSeq = 0;
    for (const { seq } of this.#records.values()) {
      this.lastRecordSeq = Math.max(this.lastRecordSeq, seq);
    }
  }

  #addStep(entry: JournalEntry): void {
    const key = entry.stepKey;
    if (entry.type.startsWith("workflow.step.") || entry.type === "workflow.wait.created")
      this.lastWorkSeq = entry.seq;
    switch (entry.type) {
      case "workflow.step.completed":
      case "workflow.step.failed":
      case "workflow.wait.resolved":
        this.#set(key, this.#keep(recordOf(entry)));
        this.lastRecordSeq = entry.seq;
        break;
      case "workflow.step.retrying":
        this.#backing.set(key, {
          attempt: entry.attempt,
          untilMs: entry.until === undefined ? 0 : msFrom(entry.until),
        });
        this.#begun.delete(key);
        break;
      case "workflow.step.cancelled":
        this.#begun.delete(key);
        break;
      case "workflow.wait.closed":
        // As if it had never been asked for: should it be, it is registered anew.
        this.#records.delete(key);
        this.#openWaits.delete(key);
        this.#callbacks.delete(key);
        if (entry.kind === StepKind.CHILD) this.#closedChildren.add(key);
        break;
      case "workflow.step.started":
        this.#begun.set(key, { attempt: entry.attempt, startMs: this.#lastMs });
        break;
      case "workflow.wait.created":
        this.#openWaits.set(key, entry.attempt);
        this.#closedChildren.delete(key);
        if (entry.kind === StepKind.CALLBACK) this.#callbacks.set(key, entry.seq);
        break;
      default:
        break;
    }
    const attempts = this.#attempts.get(key) ?? 0;
    if (entry.attempt > attempts) this.#attempts.set(key, entry.attempt);
  }

  /** Leaves the payload in the journal, where there are many of them here. */
  #keep(record: MemoRecord): MemoRecord {
    const bytes = record.payload?.data.byteLength ?? 0;
    if (this.#readPage === undefined || bytes === 0) return record;
    if (this.#payloadBytes + bytes > limits.memoPayloadBytesMax) {
      return { ...record, payload: undefined, late: true };
    }
    this.#payloadBytes += bytes;
    return record;
  }

  /** Some of the entries after that place, as they are in the journal by now. */
  async readAfter(seq: number): Promise<readonly JournalEntry[]> {
    return (await this.#readPage?.(seq)) ?? [];
  }

  /** A late payload. The replay comes by in the order of the journal, so a page serves many. */
  async readLate({ seq }: MemoRecord): Promise<ReceivedPayload | undefined> {
    if (!this.#page.has(seq)) {
      const entries = (await this.#readPage?.(seq - 1)) ?? [];
      this.#page = new Map(entries.map((entry) => [entry.seq, entry.payload]));
    }
    const payload = this.#page.get(seq);
    this.#page.delete(seq);
    return payload;
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
    this.#asked.add(key);
    return this.#records.get(key);
  }

  /** Frees the record of a key that nobody will ask for again. */
  forget(key: string): void {
    this.#records.delete(key);
  }

  /** The highest attempt known of a step; 0 when it never ran. */
  attempts(key: string): number {
    return this.#attempts.get(key) ?? 0;
  }

  /** Registered, and not resolved as far as is known here. */
  isOpenWait(key: string): boolean {
    return this.#openWaits.has(key);
  }

  /** Open, resolved by a signal, which can be given back, or for a child, which can be ended. */
  isClosable(key: string): boolean {
    const isOpen = this.#openWaits.has(key) || this.#closedChildren.has(key);
    return isOpen || this.outcome(key) === "signalled";
  }

  /** The place in the journal at which a callback was registered. */
  createdSeq(key: string): number {
    return this.#callbacks.get(key) ?? 0;
  }

  isCompleted(key: string): boolean {
    const record = this.#records.get(key);
    return record !== undefined && record.failure === undefined;
  }

  /** How a wait ended; undefined where that is not on record. */
  outcome(key: string): string | undefined {
    return this.#records.get(key)?.outcome;
  }

  /** Whether a worker has gone on after that place, so that the code has been given what is there. */
  wasHandedOut(seq: number): boolean {
    return seq < this.lastWorkSeq;
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
  unconsumed(keysMax: number, afterSeq = 0): string[] {
    const keys: string[] = [];
    for (const [key, { seq }] of this.#records) {
      if (keys.length >= keysMax) break;
      if (seq <= afterSeq) continue;
      if (!this.#asked.has(key) && !this.#ancestorAsked(key)) keys.push(key);
    }
    return keys;
  }

  /**
   * Gives up the waits of ended branches that the code has not asked for, and that a signal has
   * resolved or still may: asking for one registers it anew.
   */
  giveUpUnasked(prefixes: readonly string[]): string[] {
    const signalled = [...this.#records].flatMap(([key, { outcome }]) =>
      outcome === "signalled" ? key : [],
    );
    const keys = [...signalled, ...this.#openWaits.keys()].filter(
      (key) => !this.#asked.has(key) && prefixes.some((prefix) => key.startsWith(prefix)),
    );
    for (const key of keys) {
      this.#records.delete(key);
      this.#openWaits.delete(key);
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

/** Whether the payload is in memory, and needs not be fetched first. */
export function isHere({ late, payload }: MemoRecord): boolean {
  return !late && payload?.ref === undefined;
}

/** A journal entry that ends a step or wait, as a record. */
export function recordOf(entry: JournalEntry): MemoRecord {
  return {
    seq: entry.seq,
    kind: entry.kind,
    attempt: entry.attempt,
    payload: entry.payload,
    late: false,
    failure: entry.failure,
    outcome: wordOf(WaitOutcome, entry.outcome),
    details: entry.outcome === WaitOutcome.UNSPECIFIED ? noDetails : entry.details,
    inputDigest: entry.inputDigest,
    definitionDigest: entry.definitionDigest,
    childRunId: entry.details.child_run_id ?? "",
  };
}
