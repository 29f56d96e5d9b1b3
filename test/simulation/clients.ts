/** The clients of the simulated world: they start runs, send what these wait for, steer and watch them. */

import { create, toBinary } from "@bufbuild/protobuf";
import {
  SendSignalRequestSchema,
  SignalService,
  StepKind,
  type StepStartedRequest,
  type WorkerFrame,
} from "@pawl/proto";
import { Client, type EventView, type RunHandle } from "@pawl/worker";
import { DEFAULT_ORG } from "../../server/src/auth/authenticate.ts";
import { anonymous } from "../../server/src/model/caller.ts";
import { isTerminal } from "../../server/src/model/run.ts";
import { waitIdOf } from "../../server/src/model/wait-id.ts";
import type { Character } from "./character.ts";
import type { Disk } from "./disk.ts";
import type { Judge } from "./judge.ts";
import type { Network } from "./network.ts";
import { type Program, randomProgram, waitsOf, type workflowsOf } from "./workload.ts";
import { type Chance, SimProcess, type World } from "./world.ts";

const ignore = () => undefined;
export const quiet = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** What may come of an answer. */
const ANSWERS: ReadonlySet<string> = new Set(["workflow.user.answered", "workflow.wait.resolved"]);

interface Started {
  readonly handle: RunHandle;
  readonly program: Program;
}

/** Whom clients talk to and who looks at what they were told. */
export interface Surroundings {
  readonly world: World;
  readonly character: Character;
  readonly disk: Disk;
  readonly network: Network;
  readonly judge: Judge;
  readonly workflows: ReturnType<typeof workflowsOf>;
}

export class Clients {
  readonly process: SimProcess;
  readonly #world: World;
  readonly #disk: Disk;
  readonly #network: Network;
  readonly #judge: Judge;
  readonly #workflows: ReturnType<typeof workflowsOf>;
  readonly #chance: Chance;
  readonly #character: Character;
  readonly runs: Started[] = [];
  commands = 0;

  constructor({ world, character, disk, network, judge, workflows }: Surroundings) {
    this.#world = world;
    this.#character = character;
    this.process = new SimProcess(world, "client");
    this.#disk = disk;
    this.#network = network;
    this.#judge = judge;
    this.#workflows = workflows;
    this.#chance = world.chance;
  }

  /** Sometime within that many ms. */
  later(withinMs: number, run: () => void): void {
    this.#world.schedule(this.#chance.next() * withinMs, run, this.process);
  }

  startRun(runId: string): void {
    const program = randomProgram(this.#chance, this.#character);
    const flow = this.#chance.hits(0.2) ? this.#workflows.narrow : this.#workflows.plain;
    const client = this.#newClient();
    this.#world.say(`${runId}: ${JSON.stringify(program)}`);
    this.#command(async () => {
      const handle = await client.start(flow, program, { runId, ...this.#startOptions() });
      this.#judge.acknowledged(runId, "its start", (record) => record !== undefined);
      this.runs.push({ handle, program });
      this.#send(handle, program);
      this.#steer(handle);
    });
    for (let i = this.#chance.int(1, 3); i > 0; i -= 1)
      this.later(2_000, () => void this.#watch(client.handle(runId)));
  }

  /** Some runs start late, or have limits of time. */
  #startOptions() {
    const chance = this.#chance;
    const isWhim = () => chance.hits(this.#character.whims / 2);
    return {
      ...(isWhim() ? { delay: chance.int(1, 3_000) } : {}),
      ...(isWhim() ? { timeout: chance.int(2_000, 30_000) } : {}),
      ...(isWhim() ? { queueTimeout: chance.int(500, 20_000) } : {}),
    };
  }

  #newClient(): Client {
    return new Client({
      transport: this.#network.transport(this.process),
      retryFor: "1 h",
      logger: quiet,
    });
  }

  /** Signals and answers, at times of their own. */
  #send(handle: RunHandle, program: Program): void {
    const { signals, questions } = waitsOf(program);
    const { burst, hurryMs } = this.#character;
    const onceMs = this.#chance.hits(burst) ? this.#chance.next() * hurryMs : undefined;
    const send = (run: () => void) => {
      if (onceMs === undefined) this.later(hurryMs, run);
      else this.#world.schedule(onceMs, run, this.process);
    };
    for (const name of signals) send(() => this.#signal(handle, name, `early ${name}`));
    for (const question of questions) send(() => this.#answer(handle.runId, question));
  }

  #signal(handle: RunHandle, name: string, signalId: string): void {
    this.#command(async () => {
      await handle.signal(name, signalId, { signalId });
      this.#judge.acknowledged(
        handle.runId,
        `the signal ${signalId}`,
        (record) =>
          record?.entries.some(
            (e) => e.type === "workflow.signal.received" && e.meta.signalId === signalId,
          ) === true,
      );
    });
  }

  /** Answers a question or callback; two people have to vote. */
  #answer(runId: string, key: string): void {
    const isVote = /(^|\/)user:v/.test(key);
    const whim = this.#chance.hits(this.#character.whims / 3) ? this.#chance.next() : 1;
    for (const actor of isVote ? ["ada", "bob"] : ["ada"])
      this.#command(async () => {
        const client = this.#newClient();
        const { createdAt, runUid } = await client.handle(runId).get();
        const waitId = waitIdOf({ createdAt: createdAt?.getTime() ?? 0, runUid }, key);
        if (whim < 0.3) {
          // Also where the run was cancelled before, and its waits with it.
          await client.cancelWait(waitId);
          return;
        }
        if (whim < 0.6 && isVote) await client.skip(waitId, { actor });
        else await client.answer(waitId, isVote ? whim > 0.8 : `answer to ${key}`, { actor });
        this.#judge.acknowledged(
          runId,
          `the answer to ${key}`,
          (record) => record?.entries.some((e) => ANSWERS.has(e.type) && e.key === key) === true,
        );
      });
  }

  #steer(handle: RunHandle): void {
    const { runId } = handle;
    const { cancels, hurryMs } = this.#character;
    if (this.#chance.hits(cancels)) {
      this.later(hurryMs, () =>
        this.#command(async () => {
          await handle.cancel({
            reason: "the client wants it so",
            grace: this.#chance.pick(["1 s", "10 s", "30 s"]),
            force: this.#chance.hits(this.#character.whims / 4),
          });
          this.#judge.acknowledged(
            runId,
            "its cancel",
            (record) =>
              record?.entries.some(
                (e) => e.type === "run.cancelling" || e.type === "run.cancelled",
              ) === true,
          );
        }),
      );
    }
    if (this.#chance.hits(0.15)) {
      this.later(hurryMs * 0.7, () => this.#command(async () => void (await handle.pause())));
      this.later(hurryMs * 1.2, () => this.#command(async () => void (await handle.resume())));
    }
    if (this.#chance.hits(0.2))
      this.later(hurryMs * 1.7, () => this.#command(async () => void (await handle.retry())));
  }

  /** A command whose refusal is the client's own business. */
  #command(run: () => Promise<void>): void {
    this.commands += 1;
    run().catch((error: unknown) => {
      const reason = error instanceof Error && "reason" in error ? String(error.reason) : "";
      if (reason === "" || reason === "INTERNAL")
        this.#judge.found(`a command failed: ${String(error)}`);
    });
  }

  /** Watches to the end, or for a while, and then comes back where it was. */
  async #watch(handle: RunHandle): Promise<void> {
    const view = this.#judge.watcher(handle.runId);
    let afterCursor = "";
    for (let visit = 0; visit < 50; visit += 1) {
      const leave = new AbortController();
      const patienceMs = this.#chance.hits(0.5) ? 600_000 : this.#chance.int(50, 5_000);
      const timer = setTimeout(() => leave.abort(), patienceMs);
      const options = {
        waitForStart: true,
        abortSignal: leave.signal,
        ...(afterCursor === "" ? {} : { afterCursor }),
      };
      let last: EventView | undefined;
      for await (const event of handle.watch(options)) {
        view.saw(event);
        this.#world.say(
          `watch ${visit} ${handle.runId} ${event.type} ${event.stepKey} ${event.entry?.seq ?? ""} ${event.cursor}`,
        );
        afterCursor = event.cursor;
        last = event;
      }
      clearTimeout(timer);
      if (!leave.signal.aborted) {
        view.ended(last);
        return;
      }
    }
  }

  /** In the end everything that is waited for comes, and whatever stands still is sent on its way. */
  async helpOn(): Promise<void> {
    for (const record of [...this.#disk.records.values()]) {
      const { header, runId } = record;
      if (isTerminal(header.status)) continue;
      const handle = this.#newClient().handle(runId);
      if (header.status === "PAUSED") {
        const wish = header.reason === "PAUSED_BY_OPERATOR" ? "resume" : "retry";
        if (header.reason === "NON_DETERMINISM")
          this.#judge.found(`${runId}: its code does not fit its journal`);
        else this.#command(async () => void (await handle[wish]()));
      }
      for (const { key, meta } of this.#judge.openWaits(record)) {
        if (meta.kind === "signal") {
          const name = meta.signalName ?? "";
          this.#signal(handle, name, `late ${key} ${Math.floor(this.#world.nowMs / 20_000)}`);
        }
        if (meta.kind === "user" || meta.kind === "callback") this.#answer(runId, key);
      }
    }
  }

  /** Sends what a wait waits for in the very moment of its registration, so that both are in one batch. */
  coincide({ body }: WorkerFrame): void {
    if (body.case !== "stepStarted" || !this.#chance.hits(this.#character.coincidence)) return;
    const started: StepStartedRequest = body.value;
    const { runId, stepKey, wait } = started;
    if (started.kind === StepKind.SIGNAL && wait !== undefined)
      this.#signalNow(runId, wait.signalName, `now ${stepKey}`);
  }

  #signalNow(runId: string, name: string, signalId: string): void {
    const server = this.#network.anyServer();
    const binding = server?.bindings.get(SignalService.method.sendSignal);
    if (server === undefined || binding?.kind !== "unary") return;
    const payload = {
      data: new TextEncoder().encode(JSON.stringify(signalId)),
      encoding: "json",
    };
    const request = create(SendSignalRequestSchema, { runId, name, signalId, payload });
    const call = server.calls.begin();
    binding
      .invoke(toBinary(SendSignalRequestSchema, request), call.enterAs(anonymous(DEFAULT_ORG)))
      .then(call.done, call.done);
  }
}
