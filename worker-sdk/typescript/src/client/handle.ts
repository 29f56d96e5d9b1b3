import {
  EventClass,
  EventService,
  type Run,
  RunService,
  RunStatus,
  SignalService,
  type WatchRunResponse,
} from "@pawl/proto";
import { decode } from "../codec/payload.ts";
import { type Duration, durationFromMs, durationMs } from "../duration.ts";
import { RequestError, RunFailedError } from "../errors.ts";
import { errorOf, failureDetails } from "../failure.ts";
import { Backoff, delay } from "../lib/delay.ts";
import { uuidv7 } from "../lib/ids.ts";
import { checkName, checkTags } from "../run/keys.ts";
import type { Platform } from "../transport/platform.ts";
import { isTransient } from "../transport/status.ts";
import {
  type EntryView,
  type EventView,
  entryView,
  eventView,
  type RunView,
  runView,
} from "./views.ts";

export interface WatchOptions {
  /** Journal entries (`checkpoint`) or live output (`delta`). Default: both. */
  readonly classes?: readonly ("checkpoint" | "delta")[];
  /** The cursor of the event to continue after. Default: from the start of the run. */
  readonly afterCursor?: string;
  /** Only events from now on. Default: false. Not together with `afterCursor`. */
  readonly fromNow?: boolean;
  /**
   * Include the events of all descendant runs; `runId` identifies the source. At most 64 children are followed
   * at once, each until it or its parent ends. Default: false.
   */
  readonly children?: boolean;
  /** Wait for a run that does not exist yet, instead of throwing NOT_FOUND. Default: false. */
  readonly waitForStart?: boolean;
  /** Ends the watch, also on the server. */
  readonly abortSignal?: AbortSignal;
}

export interface SignalSendOptions {
  /**
   * An id for deduplication: sending again with the same id has no effect. Default: a random id. Set it in web
   * handlers, so that a second click does not send a second signal.
   */
  readonly signalId?: string;
  /** Who sends it; shown in the run's history. */
  readonly actor?: string;
}

/** For how long one call waits for a result. */
export const waitMs = 30_000;
const terminal = new Set([RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED]);

export function hasEnded(run: Run): boolean {
  return terminal.has(run.status);
}

/** What there is to say of a run that ended without a message. */
function silentEnd({ status, failure }: Run): string {
  if (status === RunStatus.CANCELLED) return "the run was cancelled";
  return `the run failed with ${failure?.type || "an error"}, which has no message`;
}

/** Returns the result of an ended run. @throws RunFailedError if it has none */
export async function outcomeOf(platform: Platform, run: Run): Promise<unknown> {
  if (run.status === RunStatus.COMPLETED) {
    const payload = run.output === undefined ? undefined : await platform.download(run.output);
    return decode(payload);
  }
  const { failure } = run;
  throw new RunFailedError({
    runId: run.runId,
    status: run.status === RunStatus.CANCELLED ? "cancelled" : "failed",
    type: failure?.type || (run.status === RunStatus.CANCELLED ? "Cancelled" : "Error"),
    message: failure?.message || silentEnd(run),
    details: failureDetails(failure),
    cause: failure === undefined ? undefined : errorOf(failure),
  });
}

/** A run to await, watch and control. */
export class RunHandle<O = unknown> {
  readonly runId: string;
  /** Whether the run existed before `start` was called. */
  readonly existing: boolean;
  readonly #platform: Platform;

  constructor(platform: Platform, runId: string, existing: boolean) {
    this.#platform = platform;
    this.runId = runId;
    this.existing = existing;
  }

  /**
   * Waits for the run's end and returns its result.
   * @throws RunFailedError if the run failed or was cancelled
   * @throws RequestError DEADLINE_EXCEEDED after `timeout` (default: none); the run continues
   */
  async result(
    options: { readonly timeout?: Duration; readonly abortSignal?: AbortSignal } = {},
  ): Promise<O> {
    const { timeout, abortSignal } = options;
    const endMs =
      performance.now() + (timeout === undefined ? Number.POSITIVE_INFINITY : durationMs(timeout));
    for (;;) {
      abortSignal?.throwIfAborted();
      const leftMs = Math.max(0, Math.min(waitMs, endMs - performance.now()));
      const { run } = await this.#platform.call(
        RunService.method.waitRun,
        { runId: this.runId, timeout: durationFromMs(leftMs) },
        abortSignal === undefined ? {} : { abortSignal },
      );
      if (run !== undefined && hasEnded(run)) return (await outcomeOf(this.#platform, run)) as O;
      if (performance.now() >= endMs) {
        throw new RequestError({
          reason: "DEADLINE_EXCEEDED",
          message: `the run ${this.runId} has not ended in time; it is ${run === undefined ? "unknown" : runView(run).status}`,
          code: 4,
        });
      }
    }
  }

  /** Returns the current state of the run. */
  async get(): Promise<RunView> {
    const { run } = await this.#platform.call(RunService.method.getRun, { runId: this.runId });
    return known(run, this.runId);
  }

  /**
   * Returns the events of the run, past ones first, until its end. It reconnects automatically. When you stop
   * reading, the watch ends on the server too, even if no event is pending.
   */
  watch(options: WatchOptions = {}): AsyncIterable<EventView> {
    return {
      [Symbol.asyncIterator]: () => {
        const stop = new AbortController();
        const { abortSignal = stop.signal } = options;
        const either = AbortSignal.any([abortSignal, stop.signal]);
        const events = this.#follow({ ...options, abortSignal: either });
        return {
          next: () => events.next(),
          // A generator's own `return` waits behind a pending `next`.
          return: () => {
            stop.abort();
            return events.return(undefined);
          },
        };
      },
    };
  }

  async *#follow(
    options: WatchOptions & { readonly abortSignal: AbortSignal },
  ): AsyncGenerator<EventView, undefined> {
    const { abortSignal } = options;
    const classes = (options.classes ?? []).map((name) =>
      name === "checkpoint" ? EventClass.CHECKPOINT : EventClass.DELTA,
    );
    let afterCursor = options.afterCursor ?? "";
    const backoff = new Backoff(50, 1_000);
    for (;;) {
      try {
        const request = {
          runId: this.runId,
          classes,
          afterCursor,
          fromNow: afterCursor === "" && options.fromNow === true,
          waitForStart: options.waitForStart ?? false,
          includeChildren: options.children ?? false,
        };
        const stream: AsyncIterable<WatchRunResponse> = this.#platform.transport.serverStream(
          EventService.method.watchRun,
          request,
          { abortSignal },
        );
        for await (const { events, cursor } of stream) {
          backoff.reset();
          if (cursor !== "") afterCursor = cursor;
          for (const event of events) {
            afterCursor = event.cursor;
            yield eventView(event);
          }
        }
        return;
      } catch (error) {
        if (abortSignal.aborted) return;
        const slow = error instanceof RequestError && error.reason === "SLOW_CONSUMER";
        if (!slow && !isTransient(error)) throw error;
        await delay(backoff.next(), abortSignal);
      }
    }
  }

  /** Ends the run; its worker gets `grace` (default 10 s) to clean up. */
  async cancel(
    options: {
      readonly reason?: string;
      readonly grace?: Duration;
      /** Ends it at once, without a worker and its clean-up. */
      readonly force?: boolean;
    } = {},
  ): Promise<RunView> {
    const { reason = "", grace, force = false } = options;
    const { run } = await this.#platform.call(RunService.method.cancelRun, {
      runId: this.runId,
      reason,
      force,
      ...(grace === undefined ? {} : { grace: durationFromMs(durationMs(grace)) }),
    });
    return known(run, this.runId);
  }

  /** Stops the run at its next step, until `resume`. */
  async pause(reason = ""): Promise<RunView> {
    const { run } = await this.#platform.call(RunService.method.pauseRun, {
      runId: this.runId,
      reason,
    });
    return known(run, this.runId);
  }

  async resume(): Promise<RunView> {
    const { run } = await this.#platform.call(RunService.method.resumeRun, { runId: this.runId });
    return known(run, this.runId);
  }

  /** Continues a failed run from its failed step. */
  async retry(): Promise<RunView> {
    const { run } = await this.#platform.call(RunService.method.retryRun, { runId: this.runId });
    return known(run, this.runId);
  }

  /** Deletes the run, which must have ended, with all that belongs to it. */
  async delete(): Promise<void> {
    await this.#platform.call(RunService.method.deleteRun, { runId: this.runId });
  }

  /** Puts a signal into the run's inbox; `duplicate`: it had come before. */
  async signal(
    name: string,
    payload?: unknown,
    options: SignalSendOptions = {},
  ): Promise<{ signalId: string; duplicate: boolean }> {
    checkName("a signal", name);
    const { signalId, duplicate } = await this.#platform.call(SignalService.method.sendSignal, {
      runId: this.runId,
      name,
      signalId: options.signalId ?? uuidv7(),
      payload: await this.#platform.payload(payload, `the payload of signal "${name}"`),
      actor: options.actor ?? "",
    });
    return { signalId, duplicate };
  }

  /** The journal from its first entry, or after one. */
  async *journal(afterSeq = 0): AsyncIterable<EntryView> {
    for await (const page of this.#platform.journal(this.runId, afterSeq))
      yield* page.map(entryView);
  }

  async updateTags(tags: {
    readonly set?: Readonly<Record<string, string>>;
    readonly remove?: readonly string[];
  }): Promise<RunView> {
    const { run } = await this.#platform.call(RunService.method.updateTags, {
      runId: this.runId,
      set: checkTags(tags.set),
      remove: [...(tags.remove ?? [])],
    });
    return known(run, this.runId);
  }
}

export function known(run: Run | undefined, runId: string): RunView {
  if (run !== undefined) return runView(run);
  throw new RequestError({
    reason: "INTERNAL",
    message: `the server answered without the run ${runId}`,
    code: 13,
  });
}
