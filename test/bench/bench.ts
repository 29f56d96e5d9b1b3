/** What all measurements share: options, databases, results, and what to say meanwhile. */
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Postgres, startPostgres } from "../harness/postgres.ts";
import { type CpuTimes, readChildTimes } from "./cpu.ts";
import type { PartTimes } from "./profile.ts";
import type { Result } from "./report.ts";
import { median } from "./stats.ts";

export type StoreKind = "sqlite" | "postgres";
export const storeKinds: readonly StoreKind[] = ["sqlite", "postgres"];

/** A round in which other programs took a larger part of the machine is disturbed. */
export const othersMax = 0.15;

export interface BenchOptions {
  /** Fewer and shorter rounds: 90 s in all. */
  quick: boolean;
  /** Adds what takes minutes: a million steps. */
  long: boolean;
  /** Only results whose names begin with this. */
  only: string;
}

/** How CPU time and the rest of the time of a measurement were spent; printed as a table. */
export interface TimeSpent {
  name: string;
  stepsPerSecond: number;
  /** In µs per step. */
  cpu: CpuTimes;
}

export class Bench {
  readonly options: BenchOptions;
  /** What was measured, wanted or not: the pipe is needed to judge the product. */
  readonly measured: Result[] = [];
  readonly spent: TimeSpent[] = [];
  /** The same for whole runs: a "step" of these is a run. */
  readonly spentPerRun: TimeSpent[] = [];
  /** The CPU time of the server's engine thread per run, in µs by part. */
  readonly parts: { readonly name: string; readonly parts: PartTimes }[] = [];
  /** The p99s of the server's event-loop delay in all rounds under load, in ms. */
  readonly loopDelays: number[] = [];
  /** How many rounds were measured again so far, since the machine was busy. */
  repeats = 0;
  /** Remarks that belong to the output. */
  readonly notes: string[] = [];
  /** What was wanted and not measured, and why. */
  readonly leftOut: { readonly name: string; readonly why: string }[] = [];
  readonly #folder: string;
  #postgres: Promise<Postgres> | undefined;
  #databases = 0;

  private constructor(options: BenchOptions, folder: string) {
    this.options = options;
    this.#folder = folder;
  }

  static async create(options: BenchOptions): Promise<Bench> {
    return new Bench(options, await mkdtemp(join(tmpdir(), "pawl-bench-")));
  }

  /** Whether any of these results is wanted. */
  wants(...names: readonly string[]): boolean {
    return names.some((name) => name.startsWith(this.options.only));
  }

  add(name: string, value: number, unit: string): void {
    this.measured.push({ name, value, unit });
  }

  /** Says at the end that this was not measured. */
  leaveOut(name: string, why: string): void {
    this.leftOut.push({ name, why });
  }

  /** What was measured and is wanted. */
  get results(): Result[] {
    return this.measured.filter(({ name }) => this.wants(name));
  }

  /** Says so where other programs took so much of the CPU that a figure means little. */
  noteOthers(name: string, others: number): void {
    if (others <= othersMax) return;
    const share = Math.round(others * 100);
    this.notes.push(
      `${name}: other programs took ${share} % of the CPU meanwhile; mind the figure.`,
    );
  }

  /** Tells a person that it continues. Standard output is for the results. */
  progress(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  /** An empty database: the path of a file that does not exist yet, or a URL. Commits hit the disk. */
  async createDatabase(kind: StoreKind): Promise<string> {
    this.#databases += 1;
    const name = `bench_${this.#databases}`;
    if (kind === "sqlite") return join(this.#folder, `${name}.db`);
    this.#postgres ??= startPostgres({ fsync: true });
    return await (await this.#postgres).createDatabase(name);
  }

  /** Removes what a measurement stored, so that the next does not pay for it. */
  async dropDatabase(url: string): Promise<void> {
    if (url.startsWith("postgres://")) {
      const name = new URL(url).pathname.slice(1);
      await (await this.#postgres)?.dropDatabase(name);
      return;
    }
    for (const suffix of ["", "-wal", "-shm"]) await rm(`${url}${suffix}`, { force: true });
  }

  /** CPU time so far of the database's own processes. */
  async databaseTimes(kind: StoreKind): Promise<CpuTimes> {
    if (kind === "sqlite") return {};
    const pid = (await this.#postgres)?.pid;
    return pid === undefined ? {} : readChildTimes(pid, "postgres");
  }

  /** The median time, in ms, of writing 8 KiB and an fsync. */
  async measureFsync(): Promise<number> {
    const path = join(this.#folder, "fsync");
    const file = await open(path, "w");
    const times: number[] = [];
    for (let n = 0; n < 100; n += 1) {
      await file.write(Buffer.alloc(8_192, n));
      const begin = performance.now();
      await file.datasync();
      times.push(performance.now() - begin);
    }
    await file.close();
    await rm(path);
    return median(times);
  }

  async close(): Promise<void> {
    await (await this.#postgres)?.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
