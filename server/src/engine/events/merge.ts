/**
 * The one order of a run's stream. Pure.
 *
 * 1. Entries come by seq. A delta comes after the entry that the store put it after, and before the
 *    next; deltas come by fence and number.
 * 2. Nothing is shown twice: what is not beyond the position is skipped.
 * 3. A number that is missing is told as a gap; a verdict on an attempt's deltas comes right before
 *    the entry that makes it, so that the end of the run stays the last event.
 */
import type { DeltaEvent } from "../../model/delta.ts";
import type { Entry } from "../../model/entry.ts";
import type { DeltaPlace } from "../../store/deltas.ts";
import type { RunEvent } from "./event-types.ts";
import { type AttemptFate, closesFence, type OpenStreams } from "./open-streams.ts";
import { LAST_NUMBER, makeCursor, type Position } from "./position.ts";

/** A delta in its place. */
export interface PlacedDelta {
  readonly fence: number;
  readonly number: number;
  readonly afterSeq: number;
  readonly at: number;
  readonly event: DeltaEvent;
}

/** Beyond all that may still be put on record under fences that are over. */
export function closedPlace(place: DeltaPlace, open: OpenStreams): DeltaPlace {
  const { fence, number } = place;
  const closed = open.closedFence;
  return closed > 0 && closed >= fence ? { fence: closed, number: LAST_NUMBER } : { fence, number };
}

export interface Pages {
  readonly entries: readonly Entry[];
  readonly moreEntries: boolean;
  readonly deltas: readonly PlacedDelta[];
  readonly moreDeltas: boolean;
}

/** An event with what says whether a place is beyond it. */
export interface PlacedEvent {
  readonly event: RunEvent;
  readonly after: Position;
}

export class Merger {
  readonly runId: string;
  position: Position;
  readonly open: OpenStreams;
  /** Deltas from before this moment may have had their time: that they are missing is not told. */
  keptSince = 0;
  /** When the latest event happened. */
  #at = 0;
  /** Notes that were seen before the position was left. */
  #skip: number;
  #out: PlacedEvent[] = [];

  constructor(runId: string, position: Position, open: OpenStreams) {
    this.runId = runId;
    this.position = { ...position, notes: 0 };
    this.#skip = position.notes;
    this.open = open;
  }

  /** The events of two pages, as far as their order is certain. */
  take({ entries, moreEntries, deltas, moreDeltas }: Pages): PlacedEvent[] {
    this.#out = [];
    let next = 0;
    const upTo = (seq: number): boolean => {
      for (let delta = deltas[next]; delta !== undefined; delta = deltas[next]) {
        if (delta.afterSeq >= seq) return true;
        next += 1;
        this.#delta(delta);
      }
      return !moreDeltas;
    };
    for (const entry of entries) {
      if (entry.seq <= this.position.seq) continue;
      if (!upTo(entry.seq)) return this.#out;
      this.#entry(entry);
    }
    if (!moreEntries) upTo(this.position.seq + 1);
    return this.#out;
  }

  #delta(delta: PlacedDelta): void {
    const { fence, number, event } = delta;
    const { position } = this;
    if (fence < position.fence || (fence === position.fence && number <= position.number)) return;
    if (fence > position.fence) {
      this.#verdicts(this.open.fenced(fence));
      this.#move({ fence, number: 0 });
    }
    this.#skip = 0;
    if (number > this.position.number + 1) this.#gap(fence, number - 1, delta.at);
    this.#at = delta.at;
    const ofRun = event.key === "";
    const isVoid = ofRun
      ? this.open.isRepeat(fence, event.sequence)
      : this.open.isStopped(event.key, event.attempt);
    this.open.note(event.key, ofRun ? event.sequence : event.attempt, fence);
    this.#move({ number });
    if (!isVoid) this.#push(deltaEvent(this.runId, delta));
  }

  #entry(entry: Entry): void {
    const { deltas = 0, fence = 0 } = entry.meta;
    // What the attempt had sent, and is no more kept. One that was in flight at a cancel may have counted
    // under the fence before it, and all that it sent is void.
    const isVoid = this.open.isStopped(entry.key, entry.attempt);
    if (deltas > 0 && fence >= this.position.fence && !isVoid) {
      if (fence > this.position.fence) this.#move({ fence, number: 0 });
      if (deltas > this.position.number) this.#gap(fence, deltas, entry.at);
    }
    this.#at = entry.at;
    this.#verdicts(this.open.entry(entry));
    this.#skip = 0;
    if (closesFence(entry)) this.#move(closedPlace(this.position, this.open));
    this.#move({ seq: entry.seq });
    this.#push(checkpointEvent(this.runId, entry));
  }

  #verdicts(verdicts: readonly AttemptFate[]): void {
    for (const [index, verdict] of verdicts.entries()) {
      if (index < this.#skip) continue;
      this.#move({ notes: index + 1 });
      this.#push(verdictEvent(this.runId, this.position, verdict));
    }
    this.position = { ...this.position, notes: 0 };
  }

  #gap(fence: number, to: number, at: number): void {
    const from = this.position.number + 1;
    this.#move({ fence, number: to });
    if (this.#at < this.keptSince) return;
    this.#push({
      runId: this.runId,
      eventId: `${this.runId}/gap/${fence}.${from}`,
      parentEventId: this.runId,
      type: "gap",
      class: "delta",
      serverAt: at,
      delta: note("gap", "", 0, { fence, from, to }),
    });
  }

  #move(change: Partial<Position>): void {
    this.position = { ...this.position, ...change };
  }

  #push(event: Omit<RunEvent, "cursor">): void {
    this.#out.push({
      event: { cursor: makeCursor(this.position), ...event },
      after: this.position,
    });
  }
}

function note(type: string, key: string, attempt: number, data: object): DeltaEvent {
  return {
    type,
    key,
    attempt,
    contentIndex: 0,
    sequence: 0,
    sourceAt: 0,
    parentEventId: "",
    eventId: "",
    policy: "buffered",
    payload: { encoding: "json", data: Buffer.from(JSON.stringify(data)) },
  };
}

/** About a run's deltas, from no place of their own. */
export function noteEvent(
  runId: string,
  type: string,
  at: number,
  data: object,
): Omit<RunEvent, "cursor"> {
  return {
    runId,
    eventId: `${runId}/${type}`,
    parentEventId: runId,
    type,
    class: "delta",
    serverAt: at,
    delta: note(type, "", 0, data),
  };
}

function verdictEvent(
  runId: string,
  { seq, fence }: Position,
  { type, key, attempt }: AttemptFate,
): Omit<RunEvent, "cursor"> {
  return {
    runId,
    eventId: `${runId}/${type}/${seq}.${fence}/${key}@${attempt}`,
    parentEventId: `${runId}/${key}`,
    type,
    class: "delta",
    serverAt: 0,
    delta: note(type, key, attempt, { step: key, attempt }),
  };
}

/** The scope that a step is in, as an event names its parent. */
function scopeOf(runId: string, key: string): string {
  const end = key.lastIndexOf("/");
  return end < 0 ? runId : `${runId}/${key.slice(0, end)}`;
}

export function checkpointEvent(runId: string, entry: Entry): Omit<RunEvent, "cursor"> {
  return {
    runId,
    eventId: `${runId}/${entry.seq}`,
    parentEventId: entry.key === "" ? runId : scopeOf(runId, entry.key),
    type: entry.type,
    class: "checkpoint",
    serverAt: entry.at,
    entry,
  };
}

export function deltaEvent(
  runId: string,
  { fence, number, at, event }: Omit<PlacedDelta, "afterSeq">,
): Omit<RunEvent, "cursor"> {
  const { eventId, parentEventId, key } = event;
  return {
    runId,
    eventId: eventId === "" ? `${runId}/${fence}.${number}` : eventId,
    parentEventId: parentEventId === "" ? (key === "" ? runId : `${runId}/${key}`) : parentEventId,
    type: event.type,
    class: "delta",
    serverAt: at,
    delta: event,
  };
}
