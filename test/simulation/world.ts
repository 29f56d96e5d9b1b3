/**
 * A world of its own in one process: its time is virtual, and whatever happens in it is an event of
 * one queue, so that a seed decides everything. Node's timers, clocks and sources of chance are
 * replaced, and each event belongs to a simulated process, which can be stopped, resumed and killed.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { LoopWatch, loopWatch } from "../../worker-sdk/typescript/src/lib/loop-watch.ts";

/** A process of the world. A stopped one keeps its events until it is resumed; a dead one loses them. */
export class SimProcess {
  readonly world: World;
  readonly name: string;
  state: "running" | "stopped" | "dead" = "running";
  /** Events that came while it was stopped, in order. */
  readonly backlog: SimEvent[] = [];

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
  }
}

export interface SimEvent {
  readonly at: number;
  readonly order: number;
  readonly process: SimProcess | undefined;
  readonly run: () => void;
  isCancelled: boolean;
}

const inProcess = new AsyncLocalStorage<SimProcess>();

/** The simulated process whose code is running. */
export function currentProcess(): SimProcess | undefined {
  return inProcess.getStore();
}

export function asProcess<T>(process: SimProcess, run: () => T): T {
  return inProcess.run(process, run);
}

/** Chance that a seed decides (mulberry32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** How much has been left to chance until now. */
  get state(): number {
    return this.#state;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  hits(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(0, items.length - 1)];
    if (item === undefined) throw new Error("There is nothing to pick from.");
    return item;
  }

  /** Mostly short, rarely long: what networks and disks do. */
  latency(shortMs: number, longMs: number): number {
    return this.hits(0.05) ? this.next() * longMs : this.next() * shortMs;
  }
}

const realSetImmediate = setImmediate;
const realNow = performance.now.bind(performance);

/** In ms of real time, for limits on the simulation itself. */
export function realMs(): number {
  return realNow();
}

/** A hash of what it was given, in its order (FNV-1a over words of 32 bits). */
export class Digest {
  #hash = 0x811c9dc5;
  readonly #number = new Float64Array(1);
  readonly #words = new Uint32Array(this.#number.buffer);

  add(value: number): void {
    this.#number[0] = value;
    for (const word of this.#words) this.#hash = Math.imul(this.#hash ^ word, 0x01000193);
    this.#hash ^= this.#hash >>> 15;
  }

  addText(text: string): void {
    for (let i = 0; i < text.length; i += 1) this.add(text.charCodeAt(i));
  }

  toString(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }
}

/** Where virtual time begins: 1 January 2030. */
const EPOCH_MS = Date.UTC(2030, 0, 1);
/** So that code which polls by setImmediate does not stop time. */
const IMMEDIATE_MS = 0.01;

export class World {
  readonly chance: Chance;
  #nowMs = 0;
  #orders = 0;
  /** A binary heap by time, then by order. */
  #events: SimEvent[] = [];
  steps = 0;
  /** Of all that has happened. */
  readonly digest = new Digest();
  readonly #trace: ((line: string) => void) | undefined;

  /** @param trace gets a line for everything that is worth one */
  constructor(seed: number, trace?: (line: string) => void) {
    this.chance = new Chance(seed);
    this.#trace = trace;
  }

  get isTraced(): boolean {
    return this.#trace !== undefined;
  }

  say(line: string): void {
    this.#trace?.(`${(this.#nowMs / 1_000).toFixed(4)} ${currentProcess()?.name ?? ""}| ${line}`);
  }

  /** In ms since the world began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Runs later, in the async context of the caller, as the process that is running or as another one. */
  schedule(delayMs: number, run: () => void, process = currentProcess()): SimEvent {
    const restore = AsyncLocalStorage.snapshot();
    const inContext =
      process === undefined || process === currentProcess()
        ? () => restore(run)
        : () => asProcess(process, run);
    this.#orders += 1;
    const at = this.#nowMs + (Number.isFinite(delayMs) ? Math.max(0, delayMs) : 0);
    const event = { at, order: this.#orders, process, run: inContext, isCancelled: false };
    this.#push(event);
    return event;
  }

  /** Continues until `isOver`, nothing is left to do, or so much virtual time has passed. */
  async run(limitMs: number, isOver: () => boolean): Promise<void> {
    const untilMs = this.#nowMs + limitMs;
    for (;;) {
      // All promises settle before the next event: the order of events decides everything.
      await new Promise((resolve) => realSetImmediate(resolve));
      if (isOver()) return;
      const event = this.#pop();
      if (event === undefined) return;
      if (event.at > untilMs) {
        this.#push(event);
        this.#nowMs = untilMs;
        return;
      }
      this.#fire(event);
    }
  }

  stop(process: SimProcess): void {
    if (process.state === "running") process.state = "stopped";
  }

  resume(process: SimProcess): void {
    if (process.state !== "stopped") return;
    process.state = "running";
    for (const event of process.backlog.splice(0)) {
      this.#orders += 1;
      if (!event.isCancelled) this.#push({ ...event, at: this.#nowMs, order: this.#orders });
    }
  }

  kill(process: SimProcess): void {
    process.state = "dead";
    process.backlog.length = 0;
  }

  #fire(event: SimEvent): void {
    this.#nowMs = Math.max(this.#nowMs, event.at);
    if (event.isCancelled || event.process?.state === "dead") return;
    if (event.process?.state === "stopped") {
      event.process.backlog.push(event);
      return;
    }
    this.steps += 1;
    this.digest.add(event.at);
    this.digest.add(event.order);
    this.digest.add(this.chance.state);
    event.run();
  }

  #push(event: SimEvent): void {
    const events = this.#events;
    let i = events.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = events[parent];
      if (above === undefined || !isBefore(event, above)) break;
      events[i] = above;
      i = parent;
    }
    events[i] = event;
  }

  #pop(): SimEvent | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      let least = left;
      const [a, b] = [events[left], events[left + 1]];
      if (a === undefined) break;
      if (b !== undefined && isBefore(b, a)) least = left + 1;
      const below = events[least];
      if (below === undefined || !isBefore(below, last)) break;
      events[i] = below;
      i = least;
    }
    events[i] = last;
    return first;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** What setTimeout returns in the world. */
class SimTimer {
  readonly #start: () => SimEvent;
  #event: SimEvent;

  constructor(start: () => SimEvent) {
    this.#start = start;
    this.#event = start();
  }

  cancel(): void {
    this.#event.isCancelled = true;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  refresh(): this {
    this.cancel();
    this.#event = this.#start();
    return this;
  }

  close(): this {
    this.cancel();
    return this;
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}

let world: World | undefined;

/** What is left of former worlds has no part in this one. */
function theWorld(): World {
  const own = currentProcess()?.world ?? world;
  if (own === undefined) throw new Error("No world was begun.");
  return own;
}

/** From now on, time, timers and chance are those of this world. */
export function enter(next: World): void {
  if (world === undefined) install();
  world = next;
}

type Callback = (...args: unknown[]) => void;

function timer(delayMs: number | undefined, callback: Callback, args: unknown[]): SimTimer {
  // Node takes 1 ms for anything below.
  const ms = Math.max(1, Number(delayMs) || 1);
  return new SimTimer(() => theWorld().schedule(ms, () => callback(...args)));
}

function interval(periodMs: number | undefined, callback: Callback, args: unknown[]): SimTimer {
  const ms = Math.max(1, Number(periodMs) || 1);
  const ticking: SimTimer = new SimTimer(() =>
    theWorld().schedule(ms, () => {
      ticking.refresh();
      callback(...args);
    }),
  );
  return ticking;
}

function clear(handle: unknown): void {
  if (handle instanceof SimTimer) handle.cancel();
}

function install(): void {
  const replaced = {
    setTimeout: (callback: Callback, ms?: number, ...args: unknown[]) => timer(ms, callback, args),
    setInterval: (callback: Callback, ms?: number, ...args: unknown[]) =>
      interval(ms, callback, args),
    setImmediate: (callback: Callback, ...args: unknown[]) =>
      new SimTimer(() => theWorld().schedule(IMMEDIATE_MS, () => callback(...args))),
    clearTimeout: clear,
    clearInterval: clear,
    clearImmediate: clear,
  };
  for (const [name, value] of Object.entries(replaced))
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  Object.defineProperty(performance, "now", { value: () => theWorld().nowMs, configurable: true });
  Date.now = () => EPOCH_MS + Math.floor(theWorld().nowMs);
  Math.random = () => theWorld().chance.next();
  AbortSignal.timeout = (ms: number) => {
    const controller = new AbortController();
    const late = () => controller.abort(new DOMException("The time is up.", "TimeoutError"));
    theWorld().schedule(ms, late);
    return controller.signal;
  };
  const randomUUID = (): `${string}-${string}-${string}-${string}-${string}` => {
    const part = (digits: number) =>
      Math.floor(theWorld().chance.next() * 16 ** digits)
        .toString(16)
        .padStart(digits, "0");
    return `${part(8)}-${part(4)}-4${part(3)}-8${part(3)}-${part(8)}${part(4)}`;
  };
  watchEachProcess();
  crypto.randomUUID = randomUUID;
  const randomBytes = (count: number): Buffer =>
    Buffer.from(Array.from({ length: count }, () => theWorld().chance.int(0, 255)));
  Object.defineProperty(crypto, "randomBytes", { value: randomBytes, configurable: true });
  syncBuiltinESMExports();
}

/** The SDK has one watch for the event loop of its process; here each simulated process has its own. */
function watchEachProcess(): void {
  const watches = new WeakMap<SimProcess, LoopWatch>();
  const nobody = new LoopWatch();
  const own = (): LoopWatch => {
    const process = currentProcess();
    if (process === undefined) return nobody;
    const watch = watches.get(process) ?? new LoopWatch();
    watches.set(process, watch);
    return watch;
  };
  loopWatch.listen = (listener) => own().listen(listener);
  loopWatch.look = () => own().look();
  loopWatch.stoodStillSince = (ms) => own().stoodStillSince(ms);
  loopWatch.ran = (...args) => own().ran(...args);
}
