import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { serverMain } from "../../harness/server.ts";
import { Child } from "../child.ts";
import { readNodeTimes } from "../cpu.ts";
import type { LoopDelay, ProbeCommand } from "../probe.ts";
import type { PartTimes } from "../profile.ts";

export interface BenchServerOptions {
  /** SQLite path or Postgres URL. */
  store: string;
  /** `host:port`; a free port by default. */
  grpc?: string;
  /** Makes every commit of the embedded store take this much longer. */
  fsyncMs?: number;
  env?: Readonly<Record<string, string>>;
}

/** The real `pawl serve` in a process of its own, with a probe inside. */
export class BenchServer {
  readonly child: Child;
  /** gRPC, as `host:port`. */
  readonly address: string;

  private constructor(child: Child, address: string) {
    this.child = child;
    this.address = address;
  }

  /** Resolves when it is ready. */
  static async start(options: BenchServerOptions): Promise<BenchServer> {
    const child = new Child(serverMain, {
      args: [
        ...["serve", "--json", "--log", "warn", "--migrate", "--store", options.store],
        ...["--grpc", options.grpc ?? "127.0.0.1:0", "--http", "127.0.0.1:0"],
      ],
      env: { ...options.env, BENCH_FSYNC_MS: String(options.fsyncMs ?? 0) },
      nodeFlags: ["--import", join(import.meta.dirname, "..", "probe.ts")],
    });
    const line = JSON.parse(await child.line(/"ready"/)) as { grpc: string };
    return new BenchServer(child, line.grpc);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** How late its event loop was since the last call, in ms. */
  takeLoopDelay(): Promise<LoopDelay> {
    return this.child.call<ProbeCommand, LoopDelay>("reset");
  }

  /** How its engine thread spends about the given time: the CPU time in ms, and its shares by part. */
  async profile(forMs: number): Promise<{ cpuMs: number; seconds: number; shares: PartTimes }> {
    const cpu = () => readNodeTimes(this.pid, "server")["server main"] ?? 0;
    await this.child.call<ProbeCommand, undefined>("profile");
    const before = { at: performance.now(), cpu: cpu() };
    await sleep(forMs);
    const seconds = (performance.now() - before.at) / 1_000;
    const cpuMs = cpu() - before.cpu;
    const parts = await this.child.call<ProbeCommand, PartTimes>("parts");
    const sampled = Object.values(parts).reduce((sum, ms) => sum + ms, 0);
    const shares = Object.entries(parts).map(([part, ms]) => [part, ms / sampled]);
    return { cpuMs, seconds, shares: Object.fromEntries(shares) };
  }

  async end(): Promise<void> {
    await this.child.end();
  }
}
