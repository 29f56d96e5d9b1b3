/**
 * The SDKs of other languages beside `@pawl/worker`, on the same machine and in turns:
 * `steps.python.c64` is 64 runs of 10 steps at once against the embedded server.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { suites } from "../../scripts/suites.ts";
import { withoutPawl } from "../harness/server.ts";
import { type Bench, othersMax } from "./bench.ts";
import { type Measured, measureSteps } from "./measure.ts";
import { measureProduct, queueRuns } from "./product/measure.ts";
import { BenchServer } from "./product/server.ts";
import { median } from "./stats.ts";
import type { StepRate } from "./step-meter.ts";

const sdk = join(import.meta.dirname, "..", "..", "worker-sdk");
const runs = 64;
const steps = 10;
/** More steps per second than any of them makes, so that the queue never runs dry. */
const stepsPerSecondMax = 40_000;

interface Language {
  readonly name: string;
  /** A program that reads one line, a command as JSON, and answers with one, a StepRate. */
  readonly command: readonly [program: string, ...args: string[]];
}

const languages: readonly Language[] = [
  {
    name: "python",
    command: [
      join(sdk, "python", ".venv", "bin", "python"),
      join(sdk, "python", "bench", "worker.py"),
      String(steps),
    ],
  },
  {
    name: "go",
    command: [join(sdk, "go", "bin", "bench"), String(steps)],
  },
];

interface Times {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** `steps.typescript.c64` is measured again here, so that all stand in one row. */
export async function benchLanguages(bench: Bench): Promise<void> {
  const { quick } = bench.options;
  const times = quick ? { warmUpMs: 700, measureMs: 1_500 } : { warmUpMs: 1_500, measureMs: 3_000 };
  const rounds: Record<string, () => Promise<Measured>> = {};
  for (const language of languages) {
    const name = `steps.${language.name}.c${runs}`;
    if (!bench.wants(name)) continue;
    const problem = await makeReady(bench, language);
    if (problem === undefined) rounds[name] = () => measure(bench, language, times);
    else bench.leaveOut(name, problem);
  }
  if (Object.keys(rounds).length === 0) return;
  rounds[`steps.typescript.c${runs}`] = () =>
    measureProduct(bench, "sqlite", {
      ...times,
      worker: "sdk-worker.ts",
      slots: runs,
      queued: queued(times),
      steps,
    });
  const measured = new Map<string, Measured[]>();
  for (let round = 1; round <= (quick ? 1 : 3); round += 1) {
    for (const [name, take] of Object.entries(rounds)) {
      const result = await take();
      const busy = result.others > othersMax ? ", the machine was busy" : "";
      bench.progress(
        `${name} round ${round}: ${Math.round(result.stepsPerSecond)} steps/s, ` +
          `p50 ${result.p50.toFixed(2)} ms, p99 ${result.p99.toFixed(2)} ms${busy}`,
      );
      measured.set(name, [...(measured.get(name) ?? []), result]);
    }
  }
  for (const [name, all] of measured) {
    bench.add(name, median(all.map((result) => result.stepsPerSecond)), "steps/s");
    bench.noteOthers(name, median(all.map((result) => result.others)));
  }
}

/** Makes the language's environment, which is fast when it is there. Returns why it could not. */
async function makeReady(bench: Bench, { name }: Language): Promise<string | undefined> {
  const suite = suites.find((one) => one.name === name);
  if (suite?.setup === undefined) throw new Error(`No test suite sets ${name} up.`);
  const [command, ...args] = suite.setup;
  bench.progress(`${name}: ${suite.setup.join(" ")}`);
  const setup = spawn(command, args, {
    cwd: join(sdk, "..", suite.folder),
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    const [said, [code]] = await Promise.all([text(setup.stderr), once(setup, "exit")]);
    if (code === 0) return undefined;
    return `${suite.setup.join(" ")} failed in ${suite.folder}: ${said.trim() || `exit code ${code}`}`;
  } catch (error) {
    return `it needs ${suite.needs} (${String(error)})`;
  }
}

function queued({ warmUpMs, measureMs }: Times): number {
  return Math.ceil((stepsPerSecondMax * (warmUpMs + measureMs)) / 1000 / steps);
}

/** One round: an empty database, runs started, then the language's worker, which drains them. */
async function measure(bench: Bench, language: Language, times: Times): Promise<Measured> {
  const store = await bench.createDatabase("sqlite");
  await queueRuns(store, queued(times));
  const server = await BenchServer.start({ store, fsyncMs: 0, env: {} });
  const [program, ...args] = language.command;
  const worker = spawn(program, args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: withoutPawl(process.env),
  });
  try {
    const command = { address: server.address, slots: runs, ...times };
    return await measureSteps(bench, "sqlite", server.pid, worker.pid ?? 0, times, async () => {
      worker.stdin?.write(`${JSON.stringify(command)}\n`);
      return await answerOf(worker, language.name);
    });
  } finally {
    if (worker.exitCode === null) {
      worker.kill("SIGKILL");
      await once(worker, "exit");
    }
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

async function answerOf(worker: ChildProcess, name: string): Promise<StepRate> {
  if (worker.stdout === null) throw new Error(`The worker in ${name} has no output.`);
  for await (const line of createInterface({ input: worker.stdout })) {
    return JSON.parse(line) as StepRate;
  }
  throw new Error(`The worker in ${name} ended without a result.`);
}
