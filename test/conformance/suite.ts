/**
 * Goal: every SDK keeps every promise of the protocol, in the same way.
 * Method: the cases of `cases/`, run by each SDK's harness against a real server; see README.md.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@grpc/grpc-js";
import { RunStatus, StatusReason } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { connect } from "../harness/protocol.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { compareEffects } from "./effects.ts";
import { FutureServer } from "./future.ts";
import { Harness, isReplayedAlways } from "./harness.ts";
import { isKept, isRecording, record } from "./journals.ts";
import { type Played, Player, type Stage } from "./player.ts";
import { type ConformanceCase, isFaulty, readCases } from "./schema.ts";
import { findSdk, foundSdks, type Sdk } from "./sdks.ts";

const exclusionsFile = join(import.meta.dirname, "exclusions.json");
/** SDK to case to reason. */
const exclusions = z
  .record(z.string(), z.record(z.string(), z.string()))
  .parse(JSON.parse(await readFile(exclusionsFile, "utf8")));

const cases = await readCases();

/**
 * The cases with one SDK. One that cannot be run here is left out, which is said, and is a failure
 * where PAWL_REQUIRE names it.
 */
export function conformance(name: string): void {
  const sdk = findSdk(name);
  if (typeof sdk !== "string") {
    describe(name, () => describeCases(sdk));
  } else if (process.env.PAWL_REQUIRE?.split(",").includes(name) === true) {
    test(name, () => expect.unreachable(`PAWL_REQUIRE asks for ${name}, but ${sdk}.`));
  } else test.skip(`${name} (left out: ${sdk})`, () => undefined);
}

/** A server with its client, which finds the new one after a restart. */
class ServerPlace {
  #server: TestServer;
  #client: Client;

  private constructor(server: TestServer) {
    this.#server = server;
    this.#client = connect(server.grpcAddress);
  }

  static async start(): Promise<ServerPlace> {
    return new ServerPlace(await startServer());
  }

  get url(): string {
    return this.#server.grpcUrl;
  }

  get httpUrl(): string {
    return this.#server.httpUrl;
  }

  readonly client = (): Client => this.#client;

  async restart(awayMs: number): Promise<void> {
    const { store, grpcAddress: grpc, httpAddress: http } = this.#server;
    await this.#server.kill();
    await sleep(awayMs);
    this.#server = await startServer({ store, grpc, http });
    this.#client.close();
    this.#client = connect(grpc);
  }

  async stop(): Promise<void> {
    this.#client.close();
    await this.#server.stop();
  }
}

function describeCases(sdk: Sdk): void {
  const found = foundSdks();
  let folder: string;
  let place: ServerPlace;
  const shared = new Map<string, Harness>();
  const modes = ["stream", ...sdk.modes];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "pawl-conformance-"));
    place = await ServerPlace.start();
    for (const mode of modes) {
      const queue = `shared-${mode}`;
      const settings = { sdk, url: place.url, queue, workerId: queue, folder, deploy: 0, mode };
      shared.set(mode, new Harness(settings));
    }
    for (const harness of shared.values()) await harness.ready();
  });
  afterAll(async () => {
    try {
      for (const harness of shared.values()) await harness.stop();
    } finally {
      await place.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });

  for (const one of cases) {
    const lacking = one.needs.filter((name) => !found.some((other) => other.name === name));
    if (lacking.length > 0) {
      test.skip(`${one.name} (left out: it needs ${lacking.join(", ")})`, () => undefined);
      continue;
    }
    for (const mode of one.modes.filter((wanted) => modes.includes(wanted))) {
      const suffix = mode === "stream" ? "" : `, by ${mode}`;
      const reason = exclusions[sdk.name]?.[one.name];
      test.concurrent(`${one.name}${suffix}`, async () => {
        const check = async (): Promise<void> =>
          compare(one, await (isFaulty(one) ? playApart(sdk, one, mode) : playShared(one, mode)));
        if (reason === undefined) return await check();
        await expect(check(), `it passes: take it out of ${exclusionsFile}`).rejects.toThrow();
        console.log(`known failure of ${sdk.name}: ${one.name}: ${reason}`);
      });
    }
  }

  /** Plays it, and keeps its journal where that is asked for. */
  async function play(player: Player, one: ConformanceCase, workerId: string): Promise<Played> {
    const played = await player.play();
    if (isRecording && isKept(one)) {
      await record(player.runId, workerId, { client: place.client(), httpUrl: place.httpUrl });
    }
    return played;
  }

  function playShared(one: ConformanceCase, mode: string): Promise<Played> {
    const refuse = (): Promise<never> => Promise.reject(new Error("This case shares its worker."));
    const stage = {
      killWorker: refuse,
      stopWorker: refuse,
      startWorker: refuse,
      killServer: refuse,
    };
    const queue = `shared-${mode}`;
    return play(new Player(one, { connect: place.client, folder, queue, stage }), one, queue);
  }

  /** With processes of its own, where a worker that kills itself is started again. */
  async function playApart(main: Sdk, one: ConformanceCase, mode: string): Promise<Played> {
    const ownServer = one.actions.some((action) => "killServer" in action);
    const server = ownServer ? await ServerPlace.start() : place;
    const proxy = one.future && (await FutureServer.start(server.url, one.future.refuse));
    const queue = `own-${one.name}-${mode}`;
    const workers = new Workers((spec, n) => {
      const other = found.find(({ name }) => name === spec.sdk) ?? main;
      const own = other === main ? mode : "stream";
      const workerId = `${queue}-${n}`;
      const { deploy } = spec;
      return new Harness({
        sdk: other,
        url: proxy?.url ?? server.url,
        queue,
        workerId,
        folder,
        deploy,
        mode: own,
      });
    });
    try {
      await workers.start({ sdk: main.name, deploy: 0 });
      const stage: Stage = {
        killWorker: () => workers.kill(),
        stopWorker: () => workers.stop(),
        startWorker: (name, deploy) => workers.start({ sdk: name ?? main.name, deploy }),
        killServer: (awayMs) => server.restart(awayMs),
      };
      const player = new Player(one, { connect: server.client, folder, queue, stage });
      return await play(player, one, queue);
    } finally {
      await workers.kill();
      proxy?.stop();
      if (ownServer) await server.stop();
    }
  }
}

interface WorkerSpec {
  readonly sdk: string;
  readonly deploy: number;
}

/** The workers of one case. One that ends without being told to has crashed, and comes back. */
class Workers {
  readonly #make: (spec: WorkerSpec, n: number) => Harness;
  #running: Harness[] = [];
  #count = 0;

  constructor(make: (spec: WorkerSpec, n: number) => Harness) {
    this.#make = make;
  }

  async start(spec: WorkerSpec): Promise<void> {
    this.#count += 1;
    const harness = this.#make(spec, this.#count);
    this.#running.push(harness);
    void harness.ended.then(() => {
      if (!this.#running.includes(harness)) return;
      this.#running = this.#running.filter((one) => one !== harness);
      void this.start(spec);
    });
    await harness.ready();
  }

  async kill(): Promise<void> {
    for (const harness of this.#take()) await harness.kill();
  }

  async stop(): Promise<void> {
    for (const harness of this.#take()) await harness.stop();
  }

  #take(): Harness[] {
    const all = this.#running;
    this.#running = [];
    return all;
  }
}

function compare({ expect: wanted, programs }: ConformanceCase, played: Played): void {
  const { run, journal, effects, output, events } = played;
  expect(RunStatus[run.status], run.failure?.message).toBe(wanted.state);
  if (wanted.reason !== undefined) expect(StatusReason[run.statusReason]).toBe(wanted.reason);
  if ("output" in wanted) expect(output).toEqual(wanted.output);
  if (wanted.failure !== undefined) {
    expect(run.failure?.type.replace(/(?<=.)Error$/, "")).toBe(wanted.failure.type);
    if (wanted.failure.message !== undefined)
      expect(run.failure?.message).toContain(wanted.failure.message);
  }
  if (wanted.journal !== undefined) {
    // Whether a cancel comes before its clean-up is announced depends on when it is executed anew.
    const told = (line: string) => !isReplayedAlways || line !== "run.cleanup.started";
    const sort = (lines: readonly string[]) =>
      (wanted.unordered ? [...lines].sort() : lines).filter(told);
    expect(sort(journal)).toEqual(sort(wanted.journal));
  }
  if (wanted.effects !== undefined) {
    compareEffects(effects, wanted.effects, isReplayedAlways ? outsideOfSteps(programs) : []);
  }
  if (wanted.events !== undefined) {
    const listed = events.filter((type) => wanted.events?.includes(type));
    expect(listed).toEqual(wanted.events);
  }
}

/** Names of effects that are made again in every replay. */
function outsideOfSteps(programs: unknown): string[] {
  if (typeof programs !== "object" || programs === null) return [];
  const inner = Object.values(programs).flatMap(outsideOfSteps);
  const { op, name } = { op: undefined, name: undefined, ...programs };
  return op === "effect" && typeof name === "string" ? [...inner, name] : inner;
}
