/**
 * The semantics of programs, in small: an interpreter that has no server and no time. What a step gave,
 * which wait was resolved by what, and in which order all that came, it takes from a journal; everything
 * else follows from the program. So the journals that it accepts are the allowed outcomes of a program:
 * a race may have several.
 */
import { isDeepStrictEqual } from "node:util";
import { type JournalEntry, WaitOutcome } from "@pawl/proto";
import { cancelled, ModelError, Place, percentEscape } from "./place.ts";
import { type Block, blockOf, isRecord, type Operation } from "./program.ts";
import { recordedValue } from "./recorded-values.ts";
import { sinceRetries } from "./retries.ts";
import { wellFormed } from "./values.ts";

interface Ask {
  readonly place: Place;
  readonly accept: (entry: JournalEntry) => void;
  readonly reject: (error: ModelError) => void;
}

export interface ModelEnd {
  readonly type: "completed" | "failed" | "cancelled";
  readonly value: unknown;
  readonly error: ModelError | undefined;
}

/** Follows the executions of a program along its journal. */
export class Model {
  readonly problems: string[] = [];
  /** Keys that were ever asked for, each with the operation that did. */
  readonly asked = new Map<string, Operation>();
  /** Keys whose branch ended, or whose run was cancelled, before they had a record. */
  readonly aborted = new Set<string>();
  end: ModelEnd | undefined;
  readonly #records = new Map<string, JournalEntry>();
  readonly #pending = new Map<string, Ask>();
  readonly #variables = new Map<string, unknown>();
  /** By the variable that stands for it. */
  readonly #callbacks = new Map<string, { readonly key: string; readonly operation: Operation }>();
  readonly #undo: { readonly key: string; readonly operation: Operation }[] = [];
  #cancelled = false;
  /** Nothing waited when the cancel came: the next that does is told. */
  #untold = false;

  readonly #journal: readonly JournalEntry[];
  /** The last entry that it has reached. */
  #seq = 0;

  private constructor(journal: readonly JournalEntry[]) {
    this.#journal = journal;
  }

  static async follow(program: Block, entries: readonly JournalEntry[]): Promise<Model> {
    const journal = sinceRetries(entries);
    const model = new Model(journal);
    void model.#run(program);
    await settled();
    for (const entry of journal) await model.#take(entry);
    return model;
  }

  /** Hands on one entry, and lets the code run until it waits again. */
  async #take(entry: JournalEntry): Promise<void> {
    this.#seq = entry.seq;
    const { type, stepKey } = entry;
    switch (type) {
      case "workflow.step.completed":
      case "workflow.step.failed":
      case "workflow.wait.resolved":
        this.#records.set(stepKey, entry);
        if (!this.asked.has(stepKey)) {
          this.problems.push(`${stepKey} has ${type}, and the code did not ask for it`);
        }
        break;
      case "workflow.step.cancelled": {
        const ask = this.#pending.get(stepKey);
        if (ask !== undefined && this.aborted.has(stepKey)) this.#tell(stepKey, ask);
        else if (!this.aborted.has(stepKey))
          this.problems.push(`${stepKey} was stopped, and nothing ended it`);
        this.#records.delete(stepKey);
        break;
      }
      case "workflow.wait.closed":
        this.#records.delete(stepKey);
        break;
      case "run.cancelling":
        this.#cancel();
        break;
    }
    while (this.#deliver()) await settled();
    await settled();
  }

  /** Hands out the earliest record that the code waits for. */
  #deliver(): boolean {
    let next: { readonly key: string; readonly ask: Ask; readonly entry: JournalEntry } | undefined;
    for (const [key, ask] of this.#pending) {
      const entry = this.#records.get(key);
      if (entry !== undefined && entry.seq < (next?.entry.seq ?? Number.POSITIVE_INFINITY)) {
        next = { key, ask, entry };
      }
    }
    if (next === undefined) return false;
    this.#pending.delete(next.key);
    next.ask.accept(next.entry);
    return true;
  }

  #cancel(): void {
    this.#cancelled = true;
    const { end } = this;
    if (end !== undefined) {
      // It came before the end was on record.
      this.end = end.type === "completed" ? undefined : { ...end, type: "cancelled" };
      if (end.type === "completed") void this.#fail(cancelled());
      return;
    }
    const told = [...this.#pending].filter(([, { place }]) => !place.isShielded);
    this.#untold = told.length === 0;
    for (const [key, ask] of told) this.#abort(key, ask);
  }

  /** A step under way comes to an end of its own first: it is recorded, or it is stopped. */
  #abort(key: string, ask: Ask): void {
    if (this.aborted.has(key)) return;
    this.aborted.add(key);
    const ends = this.#journal.some(
      ({ seq, stepKey, type }) =>
        seq > this.#seq && stepKey === key && /step\.(completed|failed|cancelled)$/.test(type),
    );
    if (!ends) this.#tell(key, ask);
  }

  #tell(key: string, ask: Ask): void {
    this.#pending.delete(key);
    ask.reject(cancelled());
  }

  /** Ends branches: what waits in them is told, and nothing starts in them any more. */
  #endPlaces(places: readonly Place[]): void {
    // Each branch of a cancelled run is told by itself, and cleans up.
    if (this.#cancelled) return;
    for (const place of places) place.end();
    for (const [key, ask] of [...this.#pending]) if (ask.place.isEnded) this.#abort(key, ask);
  }

  async #run(program: Block): Promise<void> {
    const root = new Place(undefined, "");
    try {
      const { value } = await this.#block(program, root, {});
      if (this.#cancelled) throw cancelled();
      this.end = { type: "completed", value, error: undefined };
    } catch (thrown) {
      await this.#fail(errorOf(thrown));
    }
  }

  async #fail(error: ModelError): Promise<void> {
    const failures = await this.#compensate();
    const what = failures.length === 1 ? "its compensation" : `${failures.length} compensations`;
    const told = failures.length === 0 ? "" : `; ${what} failed: ${failures.join("; ")}`;
    const message = error.message + told;
    const type = this.#cancelled ? "cancelled" : "failed";
    this.end = { type, value: undefined, error: new ModelError(error.type, message) };
  }

  async #compensate(): Promise<string[]> {
    const failures: string[] = [];
    // Out of reach of whatever ends.
    const shielded = new Place(undefined, "", undefined, true);
    for (const { key, operation } of this.#undo.reverse()) {
      try {
        await this.#ask(key, operation, shielded);
      } catch (thrown) {
        failures.push(`"${operation.name}": ${errorOf(thrown).message}`);
      }
    }
    return failures;
  }

  /** Waits for the record of a key; a failed one throws. */
  #ask(key: string, operation: Operation, place: Place): Promise<JournalEntry> {
    const untold = this.#untold && !place.isShielded;
    if (place.isEnded || untold) {
      if (untold) this.#untold = false;
      return Promise.reject(cancelled());
    }
    this.asked.set(key, operation);
    return new Promise((resolve, reject) => {
      const accept = (entry: JournalEntry): void => {
        const error = errorIn(entry);
        if (error === undefined) resolve(entry);
        else reject(error);
      };
      this.#pending.set(key, { place, accept, reject });
    });
  }

  async #block(
    block: Block,
    place: Place,
    own: Own,
  ): Promise<{ returned: boolean; value: unknown }> {
    for (const operation of block) {
      const ended = await this.#operation(operation, place, own);
      if (ended?.returned) return ended;
    }
    return { returned: false, value: null };
  }

  async #operation(
    operation: Operation,
    place: Place,
    own: Own,
  ): Promise<{ returned: boolean; value: unknown } | undefined> {
    switch (operation.op) {
      case "return":
        return { returned: true, value: this.#evaluate(operation.value, own) };
      case "throw":
        throw new ModelError(String(operation.type), String(operation.message));
      case "try":
        return await this.#try(operation, place, own);
      case "repeat":
        for (let i = 0; i < Number(operation.times); i += 1) {
          const ended = await this.#block(blockOf(operation.do), place, own);
          if (ended.returned) return ended;
        }
        return undefined;
      case "compensate": {
        const key = place.key(`compensate:${operation.name}`);
        this.#undo.push({ key, operation });
        return undefined;
      }
      case "signals":
        await this.#signals(operation, place);
        return undefined;
      case "callback": {
        const key = place.key(`callback:${operation.name}`);
        this.asked.set(key, operation);
        this.#callbacks.set(String(operation.as), { key, operation });
        return undefined;
      }
      default: {
        const value = await this.#value(operation, place, own);
        if (typeof operation.as === "string") this.#variables.set(operation.as, value);
        return undefined;
      }
    }
  }

  async #try(operation: Operation, place: Place, own: Own) {
    try {
      return await this.#block(blockOf(operation.do), place, own);
    } catch (error) {
      if (!("catch" in operation)) throw error;
      return await this.#block(blockOf(operation.catch), place, own);
    } finally {
      if ("finally" in operation) await this.#block(blockOf(operation.finally), place, own);
    }
  }

  async #signals(operation: Operation, place: Place): Promise<void> {
    const inner = place.within(place.key(`signals:${operation.name}`));
    for (let taken = 0; taken < Number(operation.times); taken += 1) {
      const entry = await this.#ask(inner.key(`signal:${operation.name}`), operation, inner);
      await this.#block(blockOf(operation.do), place, { item: recordedValue(entry.payload) });
    }
  }

  async #value(operation: Operation, place: Place, own: Own): Promise<unknown> {
    const inBlock = async (inner: Place, block: unknown, item = own) =>
      (await this.#block(blockOf(block), inner, item)).value;
    const recorded = async (segment: string) =>
      recordedValue((await this.#ask(place.key(segment), operation, place)).payload);
    switch (operation.op) {
      case "step":
        return await this.#step(operation, place, own);
      case "scope":
        return await inBlock(place.within(place.key(`scope:${operation.name}`)), operation.do);
      case "cleanup":
        return await inBlock(place.within(place.key("cleanup:cleanup"), true), operation.do);
      case "map":
        return await this.#map(operation, place);
      case "all":
      case "race":
      case "allSettled":
        return await this.#branches(operation, place, own);
      case "sleep":
        await recorded(`sleep:${operation.name ?? "sleep"}`);
        return null;
      case "signal":
        return await this.#signal(operation, place, own);
      case "ask":
        return await recorded(`user:${operation.question}`);
      case "child":
        return await recorded("child:conformance");
      case "spawn":
        return await this.#spawn(operation, place);
      case "result":
        return await this.#result(String(operation.of), place, own);
      case "recorded":
        return await recorded(`value:${operation.what}`);
      default:
        throw new TypeError(`The model does not know ${operation.op}.`);
    }
  }

  async #spawn(operation: Operation, place: Place): Promise<unknown> {
    const start = place.key("spawn:conformance");
    const end = place.key("child:conformance");
    await this.#ask(start, operation, place);
    if (operation.awaits !== true) return null;
    return recordedValue((await this.#ask(end, operation, place)).payload);
  }

  async #result(callback: string, place: Place, own: Own): Promise<unknown> {
    const opened = this.#callbacks.get(callback);
    if (opened === undefined) throw new TypeError(`The callback ${callback} was not opened.`);
    return wellFormed(await this.#limited(opened.key, opened.operation, place, own));
  }

  async #signal(operation: Operation, place: Place, own: Own): Promise<unknown> {
    return await this.#limited(place.key(`signal:${operation.name}`), operation, place, own);
  }

  /** A wait that may have a timeout, and a value for that. */
  async #limited(key: string, operation: Operation, place: Place, own: Own): Promise<unknown> {
    const entry = await this.#ask(key, operation, place);
    if (entry.outcome !== WaitOutcome.TIMED_OUT) return recordedValue(entry.payload);
    if ("default" in operation) return this.#evaluate(operation.default, own);
    throw new ModelError("WaitTimeout", "");
  }

  async #step(operation: Operation, place: Place, own: Own): Promise<unknown> {
    const key =
      "key" in operation
        ? `${place.prefix}${operation.name}[${percentEscape(String(operation.key))}]`
        : place.key(String(operation.name));
    const expected = this.#evaluate(this.#gives(operation), own);
    let inner: Promise<unknown> | undefined;
    if ("do" in operation && !this.#records.has(key) && !place.isEnded) {
      inner = this.#block(blockOf(operation.do), place.within(key), own).then(({ value }) => value);
      inner.catch(() => undefined);
    }
    const entry = await this.#ask(key, operation, place);
    const value = recordedValue(entry.payload);
    const due = inner === undefined ? expected : await inner;
    const known = inner !== undefined || !("do" in operation);
    if (known && !isDeepStrictEqual(value, due)) {
      this.problems.push(`${key} gave ${brief(value)}, and not ${brief(due)}`);
    }
    return value;
  }

  /** What the body of a step gives, as an expression. */
  #gives(operation: Operation): unknown {
    const { yield: items, reduce } = operation;
    if (!Array.isArray(items)) return operation.value ?? null;
    if (reduce === "collect") return items;
    return reduce === "last" ? items.at(-1) : items.join("");
  }

  async #map(operation: Operation, place: Place): Promise<unknown> {
    const items = Array.isArray(operation.items) ? operation.items : [];
    const map = place.within(place.key(`map:${operation.name}`));
    const places: Place[] = [];
    const results: unknown[] = [];
    let next = 0;
    let stopped = false;
    const lane = async (): Promise<void> => {
      while (next < items.length && !stopped) {
        const i = next;
        next += 1;
        const segment = operation.keyed === true ? percentEscape(String(items[i])) : String(i);
        const inner = map.within(`${map.prefix}${segment}`);
        places.push(inner);
        try {
          const own = { item: items[i] };
          results[i] = (await this.#block(blockOf(operation.do), inner, own)).value;
        } catch (error) {
          stopped = true;
          throw error;
        }
      }
    };
    const lanes = Math.min(Number(operation.concurrency ?? items.length), items.length);
    await this.#allOrFirstError(places, Array.from({ length: lanes }, lane));
    return results;
  }

  async #branches(operation: Operation, place: Place, own: Own): Promise<unknown> {
    const branches = isRecord(operation.branches) ? Object.entries(operation.branches) : [];
    const places = branches.map(([name]) => place.within(place.key(`all:${name}`)));
    const running = branches.map(async ([, block], i) => {
      const inner = places[i];
      return inner && (await this.#block(blockOf(block), inner, own)).value;
    });
    if (operation.op === "race") {
      try {
        return await Promise.race(running);
      } finally {
        this.#endPlaces(places);
      }
    }
    if (operation.op === "all") {
      await this.#allOrFirstError(places, running);
      const values = await Promise.all(running);
      return Object.fromEntries(branches.map(([name], i) => [name, values[i]]));
    }
    const outcomes = await Promise.allSettled(running);
    const results: Record<string, unknown> = {};
    for (const [i, outcome] of outcomes.entries()) {
      const name = branches[i]?.[0] ?? "";
      if (outcome.status === "fulfilled") results[name] = { ok: outcome.value };
      else {
        const { type, message } = errorOf(outcome.reason);
        // Being cancelled is for the run to deal with, not one branch's outcome.
        if (type === "Cancelled") throw outcome.reason;
        results[name] = { error: { type, message } };
      }
    }
    return results;
  }

  async #allOrFirstError(places: readonly Place[], running: readonly Promise<unknown>[]) {
    let failed: { readonly error: unknown } | undefined;
    const watched = running.map((branch) =>
      branch.catch((error: unknown) => {
        if (failed !== undefined) return;
        failed = { error };
        this.#endPlaces(places);
      }),
    );
    await Promise.all(watched);
    if (failed !== undefined) throw failed.error;
  }

  #evaluate(expression: unknown, own: Own): unknown {
    if (Array.isArray(expression)) return expression.map((one) => this.#evaluate(one, own));
    if (!isRecord(expression)) return wellFormed(expression);
    const [name, argument] = Object.entries(expression)[0] ?? [];
    if (Object.keys(expression).length === 1 && name?.startsWith("$")) {
      if (name === "$void") return null;
      if (name !== "$") return expression;
      return (argument === "item" ? own.item : this.#variables.get(String(argument))) ?? null;
    }
    return Object.fromEntries(
      Object.entries(expression).map(([key, one]) => [
        key.toWellFormed(),
        this.#evaluate(one, own),
      ]),
    );
  }
}

/** What a block has for itself. */
interface Own {
  readonly item?: unknown;
}

/** What a record throws. */
function errorIn({ type, outcome, failure }: JournalEntry): ModelError | undefined {
  const failed = type === "workflow.step.failed" || outcome === WaitOutcome.FAILED;
  return failed ? new ModelError(bare(failure?.type ?? ""), failure?.message ?? "") : undefined;
}

function errorOf(thrown: unknown): ModelError {
  if (thrown instanceof ModelError) return thrown;
  throw thrown;
}

export function bare(type: string): string {
  return type === "Error" ? type : type.replace(/Error$/, "");
}

export function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** All that follows has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
