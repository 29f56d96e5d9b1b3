/**
 * A run together with its children, theirs, and so on, as one stream.
 *
 * 1. Within each run the order is that of its own stream. A child's events come after the entry of
 *    its parent that mentions it first, and what the parent's journal says of the child's end, or
 *    of its own, comes after what the child had recorded by then.
 * 2. A child is followed until its stream or its parent's ends: the last event is the end of the
 *    run that is watched.
 * 3. The cursor has a place for each child under way (`tree-cursor.ts`), so that one can continue at
 *    any replica. Those that were followed to their end are told by their parent's place.
 * 4. At most that many children are followed at once. A further one is a `gap` in its own name.
 */

import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { PawlError } from "../../model/errors.ts";
import { isTerminal, type RunHeader } from "../../model/run.ts";
import type { Store } from "../../store/store.ts";
import { readHeader } from "../runs/read-header.ts";
import { Branch, childrenOf, type StreamOpener } from "./branch.ts";
import type { RunEvent, WatchRun } from "./event-types.ts";
import { type Classes, ofClass } from "./feed.ts";
import { endOf } from "./join.ts";
import { noteEvent } from "./merge.ts";
import { makeCursor, parseCursor, START } from "./position.ts";
import { makeTreeCursor, parseTreeCursor } from "./tree-cursor.ts";

/** Events that are given out together. */
const BATCH = 500;
const ENDS = new Set(["run.completed", "run.failed", "run.cancelled"]);

export async function* watchTree(
  store: Store,
  caller: Caller,
  watch: WatchRun,
  classes: Classes,
  open: StreamOpener,
  signal: AbortSignal,
): AsyncGenerator<readonly RunEvent[]> {
  const tree = new Tree(store, caller, open, signal);
  try {
    await tree.resume(watch.runId, watch.afterCursor);
    for (;;) {
      const events = await tree.next();
      if (events === undefined) return;
      const wanted = ofClass(events, classes);
      if (wanted.length > 0) yield wanted;
    }
  } finally {
    tree.stop();
  }
}

/** The place after all that is there now, of the run and of its children that are under way. */
export async function treeCursorNow(store: Store, caller: Caller, runId: string): Promise<string> {
  const tree = new Tree(store, caller, never, new AbortController().signal);
  try {
    await tree.beginNow(runId);
    return tree.cursor;
  } finally {
    tree.stop();
  }
}

async function* never(): AsyncGenerator<readonly RunEvent[]> {
  // A tree that only says where it is reads nothing.
}

class Tree {
  readonly #store: Store;
  readonly #caller: Caller;
  readonly #open: StreamOpener;
  readonly #signal: AbortSignal;
  /** The run that is watched, then those that are followed with it, parents before children. */
  #branches: Branch[] = [];
  #wake = Promise.withResolvers<void>();

  constructor(store: Store, caller: Caller, open: StreamOpener, signal: AbortSignal) {
    this.#store = store;
    this.#caller = caller;
    this.#open = open;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake.resolve(), { once: true });
  }

  #add(
    runId: string,
    cursor: string,
    parent: Branch | undefined,
    mentionedAt: number,
    known: Set<string>,
  ): Branch {
    const parts = { runId, cursor, parent, mentionedAt, known };
    const branch = new Branch(parts, this.#open, this.#signal);
    this.#branches.push(branch);
    return branch;
  }

  /** Continues where a cursor says, with the children that are under way there. */
  async resume(runId: string, afterCursor: string): Promise<void> {
    const place = parseTreeCursor(afterCursor);
    const mentions = new Map<Branch, Map<string, number>>();
    const add = async (id: string, cursor: string, parent: Branch | undefined, seq: number) => {
      const isNew = cursor === "";
      const all = isNew ? new Map<string, number>() : await this.#mentions(id);
      const upTo = isNew ? START.seq : parseCursor(cursor).seq;
      const known = [...all].filter(([, at]) => at <= upTo).map(([child]) => child);
      const branch = this.#add(id, cursor, parent, seq, new Set(known));
      mentions.set(branch, all);
      return branch;
    };
    const root = await add(runId, afterCursor === "" ? "" : place.cursor, undefined, 0);
    const children: (Branch | undefined)[] = [];
    for (const { parent, seq, cursor } of place.children) {
      const above = parent < 0 ? root : children[parent];
      const of = above === undefined ? undefined : mentions.get(above);
      const id = [...(of ?? [])].find(([, at]) => at === seq)?.[0];
      // A child that was deleted meanwhile, or whose parent was: it has no more to tell.
      children.push(id === undefined ? undefined : await add(id, cursor, above, seq));
    }
  }

  #mentions(runId: string): Promise<Map<string, number>> {
    return childrenOf(this.#store, this.#caller, runId);
  }

  /** At the end of what is there, with the children that are under way. */
  async beginNow(runId: string, parent?: Branch, mentionedAt = 0): Promise<void> {
    const { end } = await endOf(this.#store, this.#caller, runId);
    const all = await this.#mentions(runId);
    const known = [...all].filter(([, at]) => at <= end.seq);
    const ids = new Set(known.map(([child]) => child));
    const branch = this.#add(runId, makeCursor(end), parent, mentionedAt, ids);
    for (const [child, at] of known) {
      if (this.#isFull || this.#follows(child)) continue;
      const header = await this.#header(child);
      if (header !== undefined && !isTerminal(header.status))
        await this.beginNow(child, branch, at);
    }
  }

  get #isFull(): boolean {
    return this.#branches.length > BOUNDS.watchedChildren;
  }

  #follows(runId: string): boolean {
    return this.#branches.some((branch) => branch.runId === runId);
  }

  async #header(runId: string): Promise<RunHeader | undefined> {
    try {
      return await readHeader(this.#store, this.#caller, runId);
    } catch (error) {
      if (error instanceof PawlError && error.reason === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** Events that can be given out; undefined after the last, and when nobody listens. */
  async next(): Promise<readonly RunEvent[] | undefined> {
    const out: RunEvent[] = [];
    for (;;) {
      this.#wake = Promise.withResolvers();
      if (this.#signal.aborted) return undefined;
      for (let moved = true; moved && out.length < BATCH; ) moved = await this.#drain(out);
      if (out.length > 0) return out;
      if (this.#branches.length === 0) return undefined;
      for (const branch of this.#branches) branch.read(() => this.#wake.resolve());
      await this.#wake.promise;
    }
  }

  /** Takes what is free of each run's queue; whether that changed anything. */
  async #drain(out: RunEvent[]): Promise<boolean> {
    let moved = false;
    for (const branch of [...this.#branches]) {
      for (let [event] = branch.queue; event !== undefined; [event] = branch.queue) {
        if (out.length >= BATCH || !(await this.#isFree(branch, event))) break;
        branch.queue.shift();
        this.#give(branch, event, out);
        moved = true;
      }
      if (!branch.over || !this.#branches.includes(branch)) continue;
      this.#refuse(branch);
      this.#remove(branch);
      moved = true;
    }
    return moved;
  }

  /** A child that is gone has no more to tell; all else is the watcher's affair. */
  #refuse({ error, parent }: Branch): void {
    if (error === undefined) return;
    const gone =
      error instanceof PawlError &&
      (error.reason === "NOT_FOUND" || error.reason === "CURSOR_EXPIRED");
    if (parent === undefined || !gone) throw error;
  }

  #remove(branch: Branch): void {
    branch.stop();
    this.#branches = this.#branches.filter((other) => other !== branch);
    for (const child of this.#childrenOf(branch)) this.#remove(child);
  }

  #childrenOf(branch: Branch): Branch[] {
    return this.#branches.filter(({ parent }) => parent === branch);
  }

  /** Whether all has been given out that comes before the event. */
  async #isFree(branch: Branch, event: RunEvent): Promise<boolean> {
    const { entry } = event;
    if (entry === undefined) return true;
    const isEnd = ENDS.has(entry.type);
    if (!isEnd && entry.type !== "workflow.wait.resolved") return true;
    branch.waitsFor ??= await this.#before(branch, isEnd ? undefined : entry.meta.childRunId);
    for (const [child, seq] of branch.waitsFor) {
      if (child.seq < seq && this.#branches.includes(child)) return false;
    }
    branch.waitsFor = undefined;
    if (!isEnd) return true;
    const header = await this.#header(branch.runId);
    const isLast = header !== undefined && isTerminal(header.status) && header.seq <= entry.seq;
    if (isLast) for (const child of this.#childrenOf(branch)) this.#remove(child);
    return true;
  }

  /** How far children, or one of them, have arrived by now. */
  async #before(branch: Branch, only: string | undefined): Promise<Map<Branch, number>> {
    const before = new Map<Branch, number>();
    for (const child of this.#childrenOf(branch)) {
      if (only !== undefined && child.runId !== only) continue;
      const header = await this.#header(child.runId);
      if (header === undefined) this.#remove(child);
      else before.set(child, header.seq);
    }
    return before;
  }

  #give(branch: Branch, event: RunEvent, out: RunEvent[]): void {
    const { entry } = event;
    branch.cursor = event.cursor;
    const left: RunEvent[] = [];
    if (entry !== undefined) {
      branch.seq = entry.seq;
      const child = entry.meta.childRunId;
      if (child !== undefined && !branch.known.has(child)) {
        branch.known.add(child);
        if (!this.#follows(child)) {
          if (this.#isFull) left.push(missing(child, entry.at));
          else this.#add(child, "", branch, entry.seq, new Set());
        }
      }
    }
    const cursor = this.cursor;
    out.push({ ...event, cursor });
    for (const gap of left) out.push({ ...gap, cursor });
  }

  get cursor(): string {
    const [root, ...children] = this.#branches;
    if (root === undefined) return "";
    const placeOf = new Map<Branch | undefined, number>(
      children.map((branch, index) => [branch, index]),
    );
    const places = children.map(({ parent, mentionedAt, cursor }) => ({
      parent: placeOf.get(parent) ?? -1,
      seq: mentionedAt,
      cursor,
    }));
    return makeTreeCursor({ cursor: root.cursor, children: places });
  }

  stop(): void {
    for (const branch of this.#branches) branch.stop();
    this.#branches = [];
  }
}

/** A child that is not followed. */
function missing(runId: string, at: number): RunEvent {
  const note = noteEvent(runId, "gap", at, { run_id: runId, followed: BOUNDS.watchedChildren });
  return { cursor: "", ...note };
}
