/**
 * `pnpm chaos [--rounds 200] [--seed N] [--store sqlite|postgres|both] [--mode M] [--lanes 5] [--keep]`:
 * crash drills by the hundred. The seed of a round is the seed given plus the round's number, so
 * that any round can be repeated by itself. Ends with code 1 when a round went wrong.
 */
import { parseArgs } from "node:util";
import useBundle from "../harness/bundle-setup.ts";
import { type Postgres, startPostgres } from "../harness/postgres.ts";
import { inTurn, type Mode, modes, type StoreKind } from "./plan.ts";
import { type RoundChoice, runSuite, summarize } from "./suite.ts";

/** Of that many rounds one is of a slow kind, where nothing else is asked for. */
const slowEvery = 25;

function readArgs() {
  const { values } = parseArgs({
    args: process.argv.slice(2).filter((arg) => arg !== "--"),
    options: {
      rounds: { type: "string", default: "200" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      store: { type: "string", default: "both" },
      mode: { type: "string" },
      lanes: { type: "string", default: "5" },
      keep: { type: "boolean", default: false },
    },
  });
  const number = (name: "rounds" | "seed" | "lanes", least: number): number => {
    const value = Number(values[name]);
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new Error(`--${name} is "${values[name]}"; it must be a whole number from ${least} on.`);
  };
  const store = (["sqlite", "postgres", "both"] as const).find((kind) => kind === values.store);
  if (store === undefined) throw new Error("--store must be sqlite, postgres or both.");
  const mode = modes.find((kind) => kind === values.mode);
  if (values.mode !== undefined && mode === undefined) {
    throw new Error(`--mode must be one of ${modes.join(", ")}.`);
  }
  if ((mode === "replicas" || mode === "loss") && store !== "postgres") {
    throw new Error(`--mode ${mode} needs --store postgres: one server holds a SQLite file.`);
  }
  return {
    rounds: number("rounds", 1),
    seed: number("seed", 0),
    lanes: number("lanes", 1),
    store,
    mode,
    keep: values.keep,
  };
}

/** The slow kinds in turn, each on the stores that it is for. */
const slow: readonly { readonly store: StoreKind; readonly mode: Mode }[] = [
  { store: "sqlite", mode: "freeze" },
  { store: "postgres", mode: "loss" },
  { store: "sqlite", mode: "poll" },
  { store: "postgres", mode: "freeze" },
  { store: "postgres", mode: "poll" },
];

function choose(
  seed: number,
  i: number,
  store: StoreKind | undefined,
  mode: Mode | undefined,
): RoundChoice {
  const kinds = slow.filter((kind) => (store ?? kind.store) === kind.store);
  const kind = kinds[Math.floor(i / slowEvery) % kinds.length];
  const takesTime = mode === undefined && kind !== undefined && i % slowEvery === slowEvery - 1;
  return { seed: seed + i, ...(takesTime ? kind : inTurn(seed + i, { store, mode })) };
}

async function main(): Promise<void> {
  const { rounds, seed, store, mode, lanes, keep } = readArgs();
  const only = store === "both" ? undefined : store;
  const choices = Array.from({ length: rounds }, (_, i) => choose(seed, i, only, mode));
  console.log(`chaos: ${rounds} rounds from seed ${seed}`);
  // A round starts eight processes, which is most of what it costs.
  await useBundle();
  let cluster: Promise<Postgres> | undefined;
  const postgres = () => {
    // Commits have to survive killed processes, not a power cut.
    cluster ??= startPostgres({ fsync: false });
    return cluster;
  };
  let done = 0;
  try {
    const result = await runSuite({
      rounds: choices,
      lanes,
      keep,
      createDatabase: async (name) => (await postgres()).createDatabase(name),
      dropDatabase: async (name) => (await postgres()).dropDatabase(name),
      print(line) {
        if (line.startsWith("seed ")) done += 1;
        console.log(line.startsWith("seed ") ? `[${done}] ${line}` : line);
      },
    });
    for (const line of summarize(result)) console.log(line);
    if (result.hits === 0)
      console.error("chaos: no blow hit a step in progress, so nothing was shown.");
    if (result.failed.length > 0 || result.hits === 0) process.exitCode = 1;
  } finally {
    await (await cluster)?.stop();
  }
}

await main();
