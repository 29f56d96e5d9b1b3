/** Crash drills by the hundred. Ends with code 1 when a round went wrong. */
import useBundle from "../harness/bundle-setup.ts";
import { readNumber, readOptions, refuse } from "../harness/command-line.ts";
import { type Postgres, startPostgres } from "../harness/postgres.ts";
import { inTurn, type Mode, modes, type StoreKind } from "./plan.ts";
import { type RoundChoice, runSuite, summarize } from "./suite.ts";

/** Of that many rounds one is of a slow kind, where nothing else is asked for. */
const slowEvery = 25;

const help = `pnpm chaos [--rounds N] [--seed N] [--store S] [--mode M] [--lanes N] [--keep]

Kills servers and workers at random moments, round after round, and checks that nothing acknowledged is
lost and nothing recorded is repeated.

  --rounds N  how many rounds; default: 200
  --seed N    of the first round; each round adds one, so that any of them can be repeated by itself
  --store S   sqlite, postgres or both; default: both
  --mode M    what is killed: ${modes.join(", ")}; default: all in turn
  --lanes N   rounds under way at the same time; default: 5
  --keep      keep the files of rounds that went well, too, in test-results/chaos`;

function readArgs() {
  const values = readOptions(help, {
    rounds: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    store: { type: "string", default: "both" },
    mode: { type: "string" },
    lanes: { type: "string", default: "5" },
    keep: { type: "boolean", default: false },
  });
  const store = (["sqlite", "postgres", "both"] as const).find((kind) => kind === values.store);
  if (store === undefined) refuse("--store must be sqlite, postgres or both.");
  const mode = modes.find((kind) => kind === values.mode);
  if (values.mode !== undefined && mode === undefined) {
    refuse(`--mode must be one of ${modes.join(", ")}.`);
  }
  if ((mode === "replicas" || mode === "loss") && store !== "postgres") {
    refuse(`--mode ${mode} needs --store postgres: one server holds a SQLite file.`);
  }
  return {
    rounds: readNumber("rounds", values.rounds, 1),
    seed: readNumber("seed", values.seed),
    lanes: readNumber("lanes", values.lanes, 1),
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
