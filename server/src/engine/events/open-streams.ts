/** Which step attempts have sent deltas whose fate is open, and what decides it. Pure. */
import { attemptKey, unpackSteps } from "../../model/delta.ts";
import type { EntryHead } from "../../model/entry.ts";
import type { DeltaHead } from "../../store/deltas.ts";
import { isBehind, type Position } from "./position.ts";

export interface OpenStream {
  readonly key: string;
  readonly attempt: number;
  readonly fence: number;
}

/** What becomes of the deltas of an attempt. */
export interface AttemptFate {
  readonly type: "commit" | "rollback";
  readonly key: string;
  readonly attempt: number;
}

/**
 * Entries that close a fence: what was in flight under it is void. A worker whose lease merely ended
 * may continue, until a higher fence is seen.
 */
const CLOSES_FENCE: ReadonlySet<string> = new Set([
  "run.cancelling",
  "run.paused",
  "run.completed",
  "run.failed",
  "run.cancelled",
  "workflow.waiting",
]);

/** Entries that end an attempt, and what becomes of its deltas. */
const ENDS_ATTEMPT: ReadonlyMap<string, AttemptFate["type"]> = new Map([
  ["workflow.step.completed", "commit"],
  ["workflow.step.retrying", "rollback"],
  ["workflow.step.failed", "rollback"],
  ["workflow.step.cancelled", "rollback"],
]);

/** Step attempts sent again are recent ones. */
const ENDED_NOTED = 10_000;

export function closesFence(entry: EntryHead): boolean {
  return CLOSES_FENCE.has(entry.type);
}

export class OpenStreams {
  readonly #open = new Map<string, OpenStream>();
  /** The latest attempt of each step that sent something and has ended: what is sent again is not new. */
  readonly #ended = new Map<string, number>();
  /** Attempts that were in flight when the run was cancelled: what they send after that is void. */
  readonly #stopped = new Set<string>();
  /** The highest fence that anything was sent under. */
  #fence = 0;
  /** How much the run itself had said, outside of steps: under the fence that it said it last, and before. */
  #said = { fence: 0, upTo: 0, before: 0 };
  /** Up to this fence all is decided: what was put on record too late is void. */
  #closed = 0;

  /** Up to this fence nothing more comes. */
  get closedFence(): number {
    return this.#closed;
  }

  has(key: string, attempt: number): boolean {
    return this.#open.has(attemptKey(key, attempt));
  }

  /** Whether a cancel has stopped this attempt, so that nothing that it sends is of any use. */
  isStopped(key: string, attempt: number): boolean {
    return this.#stopped.has(attemptKey(key, attempt));
  }

  /** Whether what an attempt sent under a fence is open. */
  isOf(key: string, attempt: number, fence: number): boolean {
    return this.#open.get(attemptKey(key, attempt))?.fence === fence;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * A delta came. What the run itself sends, outside of steps, is never void: there, `attempt` is how
   * much it has said by then.
   */
  note(key: string, attempt: number, fence: number): void {
    if (fence <= this.#closed) return;
    if (key === "") {
      this.#fence = Math.max(this.#fence, fence);
      const { upTo, before } = this.#said;
      if (fence === this.#said.fence) this.#said.upTo = Math.max(upTo, attempt);
      else if (fence > this.#said.fence)
        this.#said = { fence, upTo: attempt, before: Math.max(upTo, before) };
      return;
    }
    if ((this.#ended.get(key) ?? 0) >= attempt || this.isStopped(key, attempt)) return;
    this.#fence = Math.max(this.#fence, fence);
    this.#open.set(attemptKey(key, attempt), { key, attempt, fence });
  }

  /** Whether the run said this outside of steps before its worker was lost, and now its code says it again. */
  isRepeat(fence: number, sequence: number): boolean {
    const { upTo, before } = this.#said;
    return sequence > 0 && sequence <= (fence > this.#said.fence ? Math.max(upTo, before) : before);
  }

  /** A fence is current: what was sent under lower ones and is still open is void. */
  fenced(fence: number): AttemptFate[] {
    return this.#void((stream) => stream.fence < fence);
  }

  /** What an entry decides; it comes right after the verdicts. */
  entry(entry: EntryHead): AttemptFate[] {
    const { type, key, attempt, meta } = entry;
    const verdicts = meta.fence === undefined ? [] : this.fenced(meta.fence);
    if (meta.fence !== undefined) this.#closed = Math.max(this.#closed, meta.fence - 1);
    if (closesFence(entry)) {
      this.#closed = Math.max(this.#closed, meta.fence ?? this.#fence);
      if (type === "run.cancelling") for (const name of this.#open.keys()) this.#stopped.add(name);
      return [...verdicts, ...this.#void(() => true)];
    }
    const ended = ENDS_ATTEMPT.get(type);
    if (ended === undefined || this.isStopped(key, attempt)) return verdicts;
    const streamed = this.has(key, attempt) || (meta.deltas ?? 0) > 0;
    for (const [name, stream] of this.#open) {
      if (stream.key === key && stream.attempt <= attempt) this.#open.delete(name);
    }
    if (!streamed) return verdicts;
    this.#ended.set(key, attempt);
    if (this.#ended.size > ENDED_NOTED) {
      for (const oldest of this.#ended.keys()) {
        this.#ended.delete(oldest);
        break;
      }
    }
    verdicts.push({ type: ended, key, attempt });
    return verdicts;
  }

  #void(isVoid: (stream: OpenStream) => boolean): AttemptFate[] {
    if (this.#open.size === 0) return [];
    const verdicts: AttemptFate[] = [];
    for (const [name, stream] of this.#open) {
      if (!isVoid(stream)) continue;
      this.#open.delete(name);
      verdicts.push({ type: "rollback", key: stream.key, attempt: stream.attempt });
    }
    // The order must not depend on who looks.
    return verdicts.sort((a, b) =>
      a.key < b.key ? -1 : a.key > b.key ? 1 : a.attempt - b.attempt,
    );
  }
}

/** What is open at a place, from the run's entries and chunks. */
export function openAt(
  position: Pick<Position, "seq" | "fence" | "number">,
  entries: readonly EntryHead[],
  chunks: readonly DeltaHead[],
): OpenStreams {
  const open = new OpenStreams();
  let next = 0;
  const upTo = (seq: number): void => {
    for (
      let chunk = chunks[next];
      chunk !== undefined && chunk.afterSeq < seq;
      chunk = chunks[next]
    ) {
      next += 1;
      if (isBehind(position, { fence: chunk.fence, number: chunk.first })) continue;
      open.fenced(chunk.fence);
      for (const [key, attempt] of unpackSteps(chunk.steps)) open.note(key, attempt, chunk.fence);
    }
  };
  for (const entry of entries) {
    if (entry.seq > position.seq) break;
    upTo(entry.seq);
    open.entry(entry);
  }
  upTo(position.seq + 1);
  return open;
}
