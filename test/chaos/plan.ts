/** What happens in a round of the drills: decided by its seed alone, before it starts. */
import { Random } from "./random.ts";
import { starts } from "./workload.ts";

export type StoreKind = "sqlite" | "postgres";

/**
 * Who is killed. `none`: nobody, which gives the outputs to compare with. `replicas`: one of two
 * servers on one database. `deploy`: servers and workers are told to end (SIGTERM), and followed by
 * others. The rest is slow, since leases have to expire. `poll`: workers without a
 * stream. `loss`: one of two servers with its workers, for good. `freeze`: workers are stopped until
 * their leases have expired, and then continue.
 */
export const modes = [
  "none",
  "workers",
  "server",
  "both",
  "replicas",
  "deploy",
  "poll",
  "loss",
  "freeze",
] as const;
export type Mode = (typeof modes)[number];

/** One blow: these processes are killed at the same time. */
export interface Strike {
  /** After the last blow, or after the first effect in the round. */
  readonly gapMs: number;
  /** The gap starts when the survivors of the last blow have gone on; else at once. */
  readonly afterProgress: boolean;
  readonly workers: readonly number[];
  readonly servers: readonly number[];
  /** How long they stay away; undefined: for good. */
  readonly backMs: number | undefined;
  /** SIGKILL; SIGTERM; or SIGSTOP, and `backMs` later SIGCONT. */
  readonly how: "kill" | "end" | "freeze";
}

export interface Plan {
  readonly seed: number;
  readonly store: StoreKind;
  readonly mode: Mode;
  readonly workers: number;
  readonly servers: number;
  readonly strikes: readonly Strike[];
  /** By run id: when it is started, in ms from the beginning. */
  readonly startMs: ReadonlyMap<string, number>;
  /** When signals are sent, in ms after the start of their run. */
  readonly signalMs: readonly number[];
}

const rotation: readonly { readonly store: StoreKind; readonly mode: Mode }[] = [
  { store: "sqlite", mode: "workers" },
  { store: "postgres", mode: "both" },
  { store: "sqlite", mode: "server" },
  { store: "postgres", mode: "workers" },
  { store: "sqlite", mode: "both" },
  { store: "postgres", mode: "server" },
  { store: "postgres", mode: "replicas" },
  { store: "sqlite", mode: "deploy" },
];

/** The quick kinds of rounds in turn, so that neighbouring seeds differ in store and mode. */
export function inTurn(
  seed: number,
  wanted: { store?: StoreKind | undefined; mode?: Mode | undefined } = {},
): { store: StoreKind; mode: Mode } {
  const { store, mode } = wanted;
  if (mode !== undefined && store !== undefined) return { store, mode };
  const fitting = rotation.filter(
    (kind) => (store ?? kind.store) === kind.store && (mode ?? kind.mode) === kind.mode,
  );
  const kind = fitting[seed % Math.max(1, fitting.length)];
  return kind ?? { store: store ?? (seed % 2 === 0 ? "sqlite" : "postgres"), mode: mode ?? "both" };
}

export const slowModes: ReadonlySet<Mode> = new Set(["poll", "loss", "freeze"]);

/** Past the lease of 15 s. */
const frozenMs = 17_000;

export function planRound(seed: number, store: StoreKind, mode: Mode): Plan {
  const random = new Random(seed);
  const workers = mode === "freeze" || mode === "loss" ? 3 : random.int(2, 3);
  const servers = mode === "replicas" || mode === "loss" ? 2 : 1;
  const count = mode === "none" ? 0 : slowModes.has(mode) ? 1 : random.int(3, 4);
  const strikes = Array.from({ length: count }, (_, i): Strike => {
    const targets = aim(random, mode, workers, servers);
    return {
      gapMs: random.int(20, 500),
      afterProgress: i === 0 || random.chance(0.8),
      ...targets,
      backMs: mode === "loss" ? undefined : mode === "freeze" ? frozenMs : random.int(0, 300),
      how: mode === "freeze" ? "freeze" : mode === "deploy" ? "end" : "kill",
    };
  });
  return {
    seed,
    store,
    mode,
    workers,
    servers,
    strikes,
    startMs: new Map(
      starts.map(({ runId }) => [runId, random.chance(0.5) ? 0 : random.int(0, 1_500)]),
    ),
    signalMs: [random.int(0, 1_800), random.int(0, 2_500)],
  };
}

function aim(
  random: Random,
  mode: Mode,
  workers: number,
  servers: number,
): Pick<Strike, "workers" | "servers"> {
  const all = Array.from({ length: workers }, (_, i) => i);
  const one = random.sample(all, 1);
  const some = random.chance(0.35) ? all : one;
  const server = random.int(0, servers - 1);
  switch (mode) {
    case "none":
      return { workers: [], servers: [] };
    case "workers":
      return { workers: some, servers: [] };
    case "poll":
      return { workers: one, servers: [] };
    case "freeze":
      return { workers: random.sample(all, workers - 1), servers: [] };
    case "loss":
      return { workers: all.filter((i) => i % servers === server), servers: [server] };
    case "server":
      return { workers: [], servers: [server] };
    case "replicas":
      return { workers: random.chance(0.3) ? one : [], servers: [server] };
    case "deploy":
      return random.chance(0.5)
        ? { workers: one, servers: [] }
        : { workers: [], servers: [server] };
    case "both":
      if (random.chance(0.6)) return { workers: some, servers: [server] };
      return random.chance(0.5)
        ? { workers: some, servers: [] }
        : { workers: [], servers: [server] };
  }
}
