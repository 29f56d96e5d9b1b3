/** Many rounds, some at a time, with their outputs compared with those of rounds without kills. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toJsonString } from "@bufbuild/protobuf";
import { JournalEntrySchema, RunSchema } from "@pawl/proto";
import { type Reference, referenceOf } from "./check.ts";
import { type RoundResult, runRound } from "./drill.ts";
import { type Mode, type Plan, planRound, type StoreKind } from "./plan.ts";
import { childCount, starts } from "./workload.ts";

const resultsFolder = join(import.meta.dirname, "..", "..", "test-results", "chaos");

/** Which round. */
export interface RoundChoice {
  readonly seed: number;
  readonly store: StoreKind;
  readonly mode: Mode;
}

export interface SuiteOptions {
  readonly rounds: readonly RoundChoice[];
  /** Rounds under way at the same time. */
  readonly lanes: number;
  /** Returns the URL of a new database. */
  readonly createDatabase: (name: string) => Promise<string>;
  /** Told that a round no longer needs its database. */
  readonly dropDatabase?: (name: string) => Promise<void>;
  /** Whether the files of rounds that went well stay, too. */
  readonly keep?: boolean;
  /** Gets a line for each round, and what went wrong. */
  readonly print: (line: string) => void;
}

export interface SuiteResult {
  readonly rounds: readonly RoundResult[];
  readonly failed: readonly RoundResult[];
  readonly hits: number;
  readonly strikes: number;
}

export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const stores = [...new Set(options.rounds.map(({ store }) => store))];
  const results: RoundResult[] = [];
  const references = new Map<StoreKind, Reference>();
  const clean = stores.map((store): RoundChoice => ({ seed: 0, store, mode: "none" }));
  await inLanes(clean, options.lanes, async (choice) => {
    const result = await oneRound(choice, options, undefined);
    if (result.repeats !== 0) {
      throw new Error(`Without kills ${result.repeats} steps executed more often than was meant.`);
    }
    if (result.violations.length > 0) {
      throw new Error(`A round without kills went wrong:\n${result.violations.join("\n")}`);
    }
    if (result.runs.length !== starts.length + childCount) {
      throw new Error(`Without kills there are ${result.runs.length} runs, children included.`);
    }
    references.set(choice.store, referenceOf(result.runs));
  });
  await inLanes(options.rounds, options.lanes, async (choice) => {
    results.push(await oneRound(choice, options, references.get(choice.store)));
  });
  return {
    rounds: results,
    failed: results.filter(({ violations }) => violations.length > 0),
    hits: sum(results, ({ hits }) => hits),
    strikes: sum(results, ({ strikes }) => strikes),
  };
}

/** Lines for people on the whole of it. */
export function summarize({ rounds, failed, hits, strikes }: SuiteResult): string[] {
  const killed = sum(rounds, (round) => round.killed);
  const executions = sum(rounds, (round) => round.executions);
  const repeats = sum(rounds, (round) => round.repeats);
  const ms = rounds.map((round) => round.ms).sort((a, b) => a - b);
  const at = (part: number) => ((ms[Math.floor(part * (ms.length - 1))] ?? 0) / 1000).toFixed(1);
  return [
    ...failed.map(({ plan }) => `failed: ${repeatCommand(plan)}`),
    `chaos: ${rounds.length} rounds, ${failed.length} with violations; ${killed} processes killed in ` +
      `${strikes} blows, ${hits} of them with a step in progress; ${executions} executions of ` +
      `steps, ${repeats} of them repeats of one in flight; a round took ${at(0.5)} s, at most ${at(1)} s.`,
  ];
}

export function repeatCommand({ seed, store, mode }: RoundChoice): string {
  return `pnpm chaos --rounds 1 --seed ${seed} --store ${store} --mode ${mode}`;
}

async function oneRound(
  choice: RoundChoice,
  options: SuiteOptions,
  reference: Reference | undefined,
): Promise<RoundResult> {
  const { seed, store, mode } = choice;
  const name = `chaos_${store}_${mode}_${seed}_${process.pid}`;
  const folder = join(resultsFolder, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const plan = planRound(seed, store, mode);
  const url = store === "postgres" ? await options.createDatabase(name) : join(folder, "pawl.db");
  const result = await runRound(plan, { folder, store: url, reference });
  options.print(describe(result));
  if (result.violations.length === 0 && options.keep !== true) {
    await rm(folder, { recursive: true, force: true });
    if (store === "postgres") await options.dropDatabase?.(name);
    return result;
  }
  await writeFile(join(folder, "round.txt"), report(result));
  for (const violation of result.violations) options.print(`  ${violation}`);
  options.print(`  files: test-results/chaos/${name}; again: ${repeatCommand(plan)}`);
  return result;
}

function describe(result: RoundResult): string {
  const { plan, violations, killed, strikes, hits, repeats, late, ms } = result;
  const { seed, store, mode, workers } = plan;
  const verdict = violations.length === 0 ? "ok" : `${violations.length} VIOLATIONS`;
  return (
    `seed ${seed} ${store} ${mode}, ${workers} workers: ${strikes} blows, ${hits} hits, ` +
    `${killed} killed, ${repeats} repeats${late > 0 ? ` (${late} too late)` : ""}, ${(ms / 1000).toFixed(1)} s: ${verdict}`
  );
}

function report({ plan, violations, runs, log }: RoundResult): string {
  const lines = [describePlan(plan), "", ...violations, "", ...log, ""];
  for (const { run, journal } of runs) {
    lines.push(toJsonString(RunSchema, run));
    for (const entry of journal) lines.push(`  ${toJsonString(JournalEntrySchema, entry)}`);
  }
  return lines.join("\n");
}

function describePlan(plan: Plan): string {
  return JSON.stringify({ ...plan, startMs: Object.fromEntries(plan.startMs) }, undefined, 2);
}

async function inLanes<T>(items: readonly T[], lanes: number, run: (item: T) => Promise<void>) {
  const queue = items.values();
  const lane = async () => {
    for (const item of queue) await run(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function sum(results: readonly RoundResult[], of: (result: RoundResult) => number): number {
  return results.reduce((total, result) => total + of(result), 0);
}
