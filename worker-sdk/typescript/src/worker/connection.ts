// Section S of docs/replay-machine.md.
/**
 * A worker's side of WorkerService.Attach.
 *
 *   idle ─▶ connecting ─▶ open ─▶ connecting …      until `close`, or a refusal:
 *                 └──────────┴─▶ closed
 *
 * S1  Hello is the first message of every stream, and nothing else leaves before
 *     Welcome has arrived.
 * S2  A request is kept until it is answered, and sent again, with the same
 *     content and id, on the next stream if its run's lease has survived.
 * S3  No step starts unless the stream is open and a heartbeat was answered that
 *     was sent within the lease time, and after this process last stood still.
 * S4  Credits granted never exceed the free slots. A run's slot is free once its
 *     code has ended, before its outcome is answered: so the next run comes
 *     with that answer, and not a round trip later.
 * S5  A run's code starts when the acknowledgement of its dispatch has left this
 *     process: what it does may keep anything else from leaving.
 */
import { create } from "@bufbuild/protobuf";
import {
  type Cancel,
  HelloSchema,
  type ServerFrame,
  type Welcome,
  type WorkerInfo,
  type WorkerServiceAttachResponse,
  type WorkItem,
} from "@pawl/proto";
import { msFrom } from "../duration.ts";
import { RequestError } from "../errors.ts";
import type { Logger } from "../lib/logger.ts";
import { type Culprit, loopWatch } from "../lib/loop-watch.ts";
import { limits } from "../limits.ts";
import type { LeftRun, NewEventInit, StartNote } from "../run/link.ts";
import type { Platform } from "../transport/platform.ts";
import { isLostConnection, unencodable } from "../transport/status.ts";
import type { AnyWorkflow } from "../workflow-types.ts";
import { Calls, type ResultOf } from "./calls.ts";
import { ConnectionLink } from "./connection-link.ts";
import { Deltas } from "./deltas.ts";
import { LeaseClock } from "./lease-clock.ts";
import { type FrameInit, frameBytes, Outbox } from "./outbox.ts";
import { RunTable } from "./run-table.ts";
import { tellOfStandstill } from "./standstill.ts";
import { Stream } from "./stream.ts";

export interface ConnectionParts {
  readonly platform: Platform;
  readonly info: WorkerInfo;
  readonly workflows: ReadonlyMap<string, AnyWorkflow>;
  readonly slots: number;
  readonly replayAlways: boolean;
  readonly logger: Logger;
  /** The server refuses this worker for good. */
  readonly onRefused: (error: RequestError) => void;
}

/** Of every heartbeat: an error under it is the oldest one's. */
const heartbeatId = 0xffff_ffff;

type State = "idle" | "connecting" | "open" | "closed";

export class Connection {
  readonly runs: RunTable;
  readonly #options: ConnectionParts;
  readonly #link: ConnectionLink;
  readonly #calls = new Calls((frame, bytes) => this.push(frame, bytes));
  readonly #outbox: Outbox;
  readonly #deltas: Deltas;
  readonly #connection: Stream;
  #state: State = "idle";
  #credits = 0;
  #draining = false;
  readonly #leaseClock = new LeaseClock();
  #heardAtMs = 0;
  #stale = false;
  #heartbeatTimer: NodeJS.Timeout | undefined;
  readonly #opened = Promise.withResolvers<void>();
  /** S5, of the dispatches of the message that is being read. */
  #acknowledged: PromiseWithResolvers<void> | undefined;

  constructor(options: ConnectionParts) {
    this.#options = options;
    this.runs = new RunTable(
      options.logger,
      () => this.#grant(),
      (runId, fence) => this.#giveBack(runId, fence),
      options.replayAlways,
    );
    this.#link = new ConnectionLink(this, options.platform);
    this.#connection = new Stream(options.platform.transport, options.logger, {
      onConnect: () => this.#hello(),
      onMessage: (message) => this.#receive(message),
      onDisconnect: (error) => this.#disconnected(error),
      onRefused: (error) => {
        this.#opened.reject(error);
        this.#opened.promise.catch(() => undefined);
        options.onRefused(error);
      },
    });
    this.#outbox = new Outbox(
      (message, onSent) => this.#connection.send(message, onSent),
      (frame, error) => this.#unsendable(frame, error),
    );
    this.#deltas = new Deltas(
      (batch, bytes, must) => {
        const mayWait = this.#state !== "open" || this.#connection.congested;
        if (mayWait && !must) return undefined;
        const body = { case: "publishEvents" as const, value: batch };
        return this.ask(batch.runId, body, bytes, "publishEvents");
      },
      (count) =>
        options.logger.warn("live output was dropped: the server does not keep up", {
          events: count,
        }),
    );
  }

  /** Connects, and reconnects when needed; resolves once the session is open for the first time. */
  start(): Promise<void> {
    if (this.#state === "idle") void this.#run();
    return this.#opened.promise;
  }

  async #run(): Promise<void> {
    this.#state = "connecting";
    const endListening = loopWatch.listen((ms, culprit) => this.#stoodStill(ms, culprit));
    await this.#connection.keepUp();
    endListening();
    this.#state = "closed";
    this.#opened.resolve();
  }

  #hello(): void {
    const hello = create(HelloSchema, {
      protocolVersion: 1,
      worker: this.#options.info,
      leases: this.runs.leases(),
    });
    this.#outbox.restart({ id: 0, body: { case: "hello", value: hello } });
    this.#leaseClock.restart();
  }

  #disconnected(error: Error | undefined): void {
    const wasOpen = this.#state === "open";
    this.#outbox.close();
    clearInterval(this.#heartbeatTimer);
    this.#credits = 0;
    this.#state = "connecting";
    if (!wasOpen || error === undefined || isLostConnection(error)) return;
    this.#options.logger.warn("the connection ended in an error", { error: error.message });
    const refusal = this.#calls.streamRefused(error);
    if (refusal === undefined) return;
    this.#options.logger.error("a message does not get through; its step or run fails", {
      error: refusal.message,
    });
  }

  #unsendable({ id = 0, body }: FrameInit, error: unknown): void {
    const refusal = error instanceof RequestError ? error : unencodable(error);
    this.#options.logger.warn("something that a run reports cannot be sent", {
      what: body?.case,
      error: refusal.message,
    });
    this.#calls.refuse(id, refusal);
  }

  // ── what runs and their link ask for ──

  /** S3. */
  mayStart(): boolean {
    loopWatch.look();
    if (this.#state === "open" && this.#leaseClock.holds) return true;
    this.#stale = true;
    return false;
  }

  #stoodStill(ms: number, culprit: Culprit | undefined): void {
    tellOfStandstill(this.#options.logger, this.runs, ms, culprit);
    this.#leaseClock.stoodStill();
    // Nothing was heard because nobody listened.
    this.#heardAtMs = performance.now();
    this.#stale = true;
    this.heartbeat();
  }

  /** Returns whether there is a stream for it to leave on. */
  push(frame: FrameInit | StartNote, bytes: number): boolean {
    if (this.#state !== "open") return false;
    this.#outbox.push(frame, bytes);
    return true;
  }

  ask<
    C extends
      | "stepStarted"
      | "stepCompleted"
      | "stepFailed"
      | "suspendRun"
      | "completeRun"
      | "failRun"
      | "publishEvents"
      | "closeWaits"
      | "beginCleanUp",
  >(
    runId: string,
    body: FrameInit["body"] & object,
    bytes: number,
    expected: C,
  ): Promise<ResultOf<C>> {
    return this.#calls.open(runId, body, bytes, expected);
  }

  publish(runId: string, fence: number, event: NewEventInit, bytes: number): number {
    return this.#deltas.add(runId, fence, event, bytes);
  }

  flushDeltas(runId: string): void {
    this.#deltas.flush(runId);
  }

  heartbeat(): void {
    if (this.#state !== "open") return;
    const leases = this.runs.leases();
    const value = { inFlight: leases.length, held: { leases } };
    const body = { case: "heartbeat" as const, value };
    this.push({ id: heartbeatId, body }, frameBytes * (1 + leases.length));
    this.#leaseClock.sent();
  }

  /** S4. Its outcome leaves in the same message as the credit for its slot. */
  ending(runId: string): void {
    this.runs.ending(runId);
  }

  released(run: LeftRun): void {
    this.#calls.forget(run.runId);
    this.#deltas.forget(run.runId);
    this.runs.released(run);
  }

  // ── what the server says ──

  #receive(message: WorkerServiceAttachResponse): void {
    this.#heardAtMs = performance.now();
    this.#outbox.hurry();
    for (const frame of message.frames) this.#handle(frame.body);
    const acknowledged = this.#acknowledged;
    this.#acknowledged = undefined;
    if (acknowledged !== undefined) this.#outbox.whenSent(() => this.#begin(acknowledged));
    if (this.#stale && this.#state === "open" && this.#leaseClock.holds) {
      this.#stale = false;
      this.runs.wakeHeld();
    }
  }

  /** What these runs report first leaves with what the answers that are due bring up: one message less. */
  #begin({ resolve }: PromiseWithResolvers<void>): void {
    resolve();
    if (this.#calls.size > 0) this.#outbox.linger();
  }

  #handle(body: ServerFrame["body"]): void {
    switch (body.case) {
      case "reply":
        if (body.value.id === heartbeatId) this.#leaseClock.refused();
        if (!this.#calls.settle(body.value) && body.value.result.case === "error") {
          const { reason, message } = body.value.result.value;
          this.#options.logger.debug("the server refused a frame", { reason, message });
        }
        break;
      case "dispatch":
        if (body.value.item !== undefined) this.#dispatch(body.value.item);
        break;
      case "waitResolved": {
        const { runId, entry } = body.value;
        if (entry !== undefined) this.runs.waitResolved(runId, entry);
        break;
      }
      case "cancel":
        this.#cancel(body.value);
        break;
      case "pause":
        this.runs.pause(body.value.runId);
        break;
      case "leaseResults":
        // News that nobody asked for say nothing of the heartbeats that are under way.
        if (!body.value.notice) this.#leaseClock.answered();
        for (const result of body.value.results) this.runs.leaseResult(result);
        break;
      case "welcome":
        this.#welcome(body.value);
        break;
      case "drain":
        // It is going away: another one, or its successor, takes over.
        this.#outbox.flush();
        void this.#connection.moveOn();
        break;
      case "ping":
        this.push(
          { id: 0, body: { case: "pong", value: { nonce: body.value.nonce } } },
          frameBytes,
        );
        break;
      default:
        break;
    }
  }

  #cancel({ runId, fence, reason, grace }: Cancel): void {
    const graceMs = grace === undefined ? undefined : msFrom(grace);
    this.runs.cancel(runId, fence, reason, graceMs);
  }

  #welcome(welcome: Welcome): void {
    this.#state = "open";
    this.#connection.welcomed();
    if (welcome.leaseTime !== undefined) this.#leaseClock.leaseMs = msFrom(welcome.leaseTime);
    this.#leaseClock.answered();
    const intervalMs =
      welcome.heartbeatInterval === undefined ? 5_000 : msFrom(welcome.heartbeatInterval);
    clearInterval(this.#heartbeatTimer);
    this.#heartbeatTimer = setInterval(() => this.#beat(intervalMs), intervalMs);
    const survived = new Set(welcome.leases.map((lease) => lease.runId));
    for (const { runId } of this.runs.leases()) {
      if (!survived.has(runId)) this.runs.drop(runId, "the lease did not survive the reconnection");
    }
    // S2, before anything new.
    this.#calls.resend();
    if (this.#draining) this.push({ id: 0, body: { case: "draining", value: {} } }, frameBytes);
    this.#grant();
    this.#stale = !this.#leaseClock.holds;
    if (this.#stale) this.heartbeat();
    this.runs.wakeAll();
    this.#options.logger.info("connected, ready for work", {
      connection: welcome.connectionId,
      workflows: [...this.#options.workflows.keys()],
    });
    this.#opened.resolve();
  }

  #beat(intervalMs: number): void {
    // Half-open: the server would have answered the last two.
    if (performance.now() - this.#heardAtMs > 2.5 * intervalMs) this.#connection.cancel();
    else this.heartbeat();
  }

  // ── dispatches ──

  /** S4. */
  #grant(): void {
    if (this.#state !== "open" || this.#draining) return;
    const count = this.#options.slots - this.runs.occupied - this.#credits;
    if (count <= 0) return;
    this.#credits += count;
    this.push({ id: 0, body: { case: "credits", value: { count } } }, frameBytes);
  }

  #dispatch(item: WorkItem): void {
    const runId = item.lease?.runId ?? "";
    const fence = item.lease?.fence ?? 0;
    this.#credits = Math.max(0, this.#credits - 1);
    const workflow = this.#options.workflows.get(item.workflow);
    if (workflow === undefined || this.#draining) {
      const reason =
        workflow === undefined
          ? `this worker does not serve "${item.workflow}"`
          : "this worker is draining";
      this.push({ id: 0, body: { case: "nack", value: { runId, fence, reason } } }, frameBytes);
      this.#grant();
      return;
    }
    this.push({ id: 0, body: { case: "dispatchAck", value: { runId, fence } } }, frameBytes);
    const { platform, logger } = this.#options;
    this.#acknowledged ??= Promise.withResolvers<void>();
    const may = this.#acknowledged.promise;
    void this.runs.take(item, workflow, { platform, link: this.#link, logger, may });
  }

  /** An abandoned run goes to another worker, or comes back, after a delay, to avoid a hot loop. */
  #giveBack(runId: string, fence: number): void {
    const reason = "this worker could not continue with it";
    setTimeout(
      () =>
        this.push({ id: 0, body: { case: "nack", value: { runId, fence, reason } } }, frameBytes),
      limits.giveBackAfterMs,
    ).unref();
  }

  // ── the end ──

  /** No more dispatches. */
  drain(): void {
    this.#draining = true;
    this.push({ id: 0, body: { case: "draining", value: {} } }, frameBytes);
  }

  /** Ends the stream; the server releases what is still leased. */
  async close(): Promise<void> {
    this.#deltas.flush();
    this.#outbox.flush();
    this.#deltas.close();
    this.runs.dropAll("the worker stops");
    await this.#connection.close();
  }
}
