/**
 * What a world is like. In a world in which everything happens, little of it happens at the same
 * time; so most worlds have a theme, of which there is much, and follow each other seed by seed.
 */
import type { Chance } from "./world.ts";

export type OpKind =
  | "step"
  | "stream"
  | "say"
  | "sleep"
  | "signal"
  | "ask"
  | "compensate"
  | "race"
  | "all"
  | "guard"
  | "child"
  | "spawn"
  | "once"
  | "stubborn"
  | "brief"
  | "deadly"
  | "vote"
  | "callback";
export type FaultKind =
  | "killWorker"
  | "stopWorker"
  | "overtakeWorker"
  | "cutWorker"
  | "cutAll"
  | "restartServer"
  | "drainServer"
  | "breakDisk"
  | "skewClock"
  | "stopServer"
  | "deafenServers";

export type Weights<K extends string> = Readonly<Record<K, number>>;

export interface Character {
  readonly ops: Weights<OpKind>;
  readonly faults: Weights<FaultKind>;
  /** How long things go wrong, and how often, in ms of the world's time. */
  readonly troubleMs: number;
  readonly everyMs: number;
  /** Within which time clients begin what they do, in ms. */
  readonly hurryMs: number;
  readonly runs: readonly [least: number, most: number];
  /** How many things a program does, one after the other. */
  readonly length: readonly [least: number, most: number];
  /** How long most bodies of steps take, at most, in ms. */
  readonly bodyMs: number;
  /** How often one takes longer than a start takes to be written or a lease to be given away. */
  readonly longBodies: number;
  /** How often a signal is sent in the moment in which its wait is registered. */
  readonly coincidence: number;
  /** How often all that the waits of a run wait for is sent at once. */
  readonly burst: number;
  /** How often runs are cancelled. */
  readonly cancels: number;
  /** How often clients do what is rarer: start late, with limits of time, and cancel or skip waits. */
  readonly whims: number;
  /** How often a wait has a timeout, and how often one for which a worker keeps the run. */
  readonly timeouts: number;
  readonly shortTimeouts: number;
  /** How many servers share the store. */
  readonly servers: number;
  /** How long most operations of the disk take, and a few, in ms. */
  readonly latencies: readonly (readonly [short: number, long: number])[];
}

const OPS: Weights<OpKind> = {
  step: 24,
  stream: 16,
  say: 3,
  sleep: 4,
  signal: 13,
  ask: 7,
  compensate: 5,
  race: 9,
  all: 6,
  guard: 7,
  child: 6,
  spawn: 2,
  once: 3,
  stubborn: 2,
  brief: 2,
  deadly: 0,
  vote: 2,
  callback: 2,
};
const FAULTS: Weights<FaultKind> = {
  killWorker: 15,
  stopWorker: 20,
  overtakeWorker: 9,
  cutWorker: 16,
  cutAll: 10,
  restartServer: 12,
  drainServer: 6,
  breakDisk: 8,
  skewClock: 5,
  stopServer: 5,
  deafenServers: 4,
};
const NO_FAULTS: Weights<FaultKind> = {
  killWorker: 0,
  stopWorker: 0,
  overtakeWorker: 0,
  cutWorker: 0,
  cutAll: 0,
  restartServer: 0,
  drainServer: 0,
  breakDisk: 0,
  skewClock: 0,
  stopServer: 0,
  deafenServers: 0,
};

const ANYTHING: Character = {
  ops: OPS,
  faults: FAULTS,
  troubleMs: 30_000,
  everyMs: 4_000,
  hurryMs: 15_000,
  runs: [10, 25],
  length: [2, 6],
  bodyMs: 150,
  longBodies: 0.1,
  coincidence: 0.5,
  burst: 0.2,
  cancels: 0.2,
  whims: 0.1,
  timeouts: 0.5,
  shortTimeouts: 0.6,
  servers: 1,
  latencies: [
    [0.2, 5],
    [2, 30],
    [10, 200],
  ],
};

/** What is different in a world with a theme. */
const THEMES: readonly Partial<Character>[] = [
  {},
  // Streams of several branches at once, and those who watch them.
  {
    ops: { ...OPS, step: 25, stream: 50, say: 8, all: 50, race: 5, signal: 0, ask: 0, sleep: 0 },
    faults: NO_FAULTS,
    troubleMs: 6_000,
    hurryMs: 2_500,
    runs: [5, 10],
    cancels: 0.1,
    latencies: [
      [10, 60],
      [30, 60],
    ],
  },
  // Waits of runs that their workers keep, and what comes for them in the same moment.
  {
    ops: { ...OPS, step: 8, stream: 2, signal: 40, ask: 10, race: 6, all: 20, sleep: 4 },
    faults: NO_FAULTS,
    troubleMs: 6_000,
    hurryMs: 4_000,
    runs: [8, 15],
    coincidence: 1,
    timeouts: 0.9,
    shortTimeouts: 0.9,
    latencies: [
      [2, 30],
      [10, 60],
    ],
  },
  // Races that are decided while nobody executes their run.
  {
    ops: { ...OPS, step: 8, stream: 2, signal: 40, ask: 4, race: 40, sleep: 6 },
    faults: { ...NO_FAULTS, killWorker: 3, cutWorker: 1 },
    troubleMs: 12_000,
    everyMs: 2_000,
    hurryMs: 6_000,
    coincidence: 0.2,
    burst: 0.7,
    timeouts: 0.3,
    shortTimeouts: 0.3,
  },
  // Cancels of runs that have something to undo, while workers come and go.
  {
    ops: { ...OPS, compensate: 30, guard: 12, signal: 20 },
    faults: { ...NO_FAULTS, killWorker: 4, cutWorker: 1, restartServer: 1 },
    troubleMs: 15_000,
    everyMs: 2_500,
    hurryMs: 8_000,
    cancels: 0.7,
  },
  // Step after step, by workers that stand still, while others take over what they did.
  {
    ops: { ...OPS, step: 60, stream: 5, all: 30, say: 0, signal: 0, ask: 0, sleep: 0, child: 0 },
    faults: { ...NO_FAULTS, overtakeWorker: 9, stopWorker: 1 },
    troubleMs: 9_000,
    everyMs: 4_000,
    hurryMs: 6_000,
    runs: [6, 9],
    length: [10, 20],
    bodyMs: 40,
    longBodies: 0.02,
    cancels: 0.05,
    latencies: [
      [40, 100],
      [60, 200],
    ],
  },
  // What people decide, and what only they can: votes, paused runs, outcomes that nobody knows.
  {
    ops: {
      ...OPS,
      step: 8,
      stream: 2,
      once: 16,
      stubborn: 10,
      brief: 10,
      deadly: 4,
      vote: 16,
      callback: 10,
      spawn: 12,
    },
    faults: { ...NO_FAULTS, killWorker: 6, cutWorker: 2, restartServer: 2 },
    troubleMs: 12_000,
    everyMs: 2_500,
    hurryMs: 7_000,
    cancels: 0.3,
    whims: 0.6,
  },
];

/** Neighboring seeds have different themes, so that a few worlds in a row have them all. */
export function characterOf(seed: number, chance: Chance): Character {
  // Of a few in a row a third have two servers, and each theme has them in its turn.
  const servers = (seed + Math.floor(seed / THEMES.length)) % 3 === 0 ? 2 : 1;
  const made: Character = { ...ANYTHING, ...THEMES[seed % THEMES.length], servers };
  // At times even an orderly theme meets everything that can go wrong, or nothing does.
  if (chance.hits(0.15)) return { ...made, faults: FAULTS };
  return chance.hits(0.1) ? { ...made, faults: NO_FAULTS } : made;
}

/** One of the kinds, each as often as it weighs; undefined if none weighs anything. */
export function draw<K extends string>(chance: Chance, weights: Weights<K>): K | undefined {
  const kinds: K[] = [];
  let sum = 0;
  for (const kind in weights) {
    kinds.push(kind);
    sum += weights[kind];
  }
  let dice = chance.next() * sum;
  return kinds.find((kind) => {
    dice -= weights[kind];
    return dice < 0;
  });
}
