/**
 * An engine in which recorded runs are executed by today's code, and nothing new is: what is
 * recorded is answered as usual, and what is not is never allowed to begin. It reports each run
 * what its code came to.
 */
import { isDeepStrictEqual } from "node:util";
import type { JournalEntry } from "@pawl/proto";
import type {
  CompleteRun,
  ConnectionSink,
  EngineApi,
  FailRun,
  OutcomeReply,
  StartedRun,
  StartRun,
  StepStarted,
  StepStartedReply,
  WorkerConnection,
} from "../engine/engine-api.ts";
import { systemClock } from "../lib/clock.ts";
import { type Deferred, deferred } from "../lib/deferred.ts";
import type { Caller } from "../model/caller.ts";
import { leaseLost } from "../model/errors.ts";
import type { Payload } from "../model/payload.ts";
import { readOnly } from "./read-only.ts";
import type { Seeded } from "./seed.ts";

export type Outcome =
  /** It ended as the record does. */
  | "same"
  /** It came to where the record ends, and would continue from there. */
  | "open"
  /** It asks for steps that the record, which has an end, does not have. */
  | "more"
  /** It ended, and otherwise than the record. */
  | "different"
  /** It asked for what does not fit the record. */
  | "mismatch";

export interface Verdict {
  readonly runId: string;
  readonly outcome: Outcome;
  /** Entries of the record. */
  readonly length: number;
  /** In words for people; empty where there is nothing to say. */
  readonly detail: string;
  /** Steps and waits that it would continue with. */
  readonly next: readonly string[];
  /** Recorded steps that the code no longer asks for. */
  readonly unconsumed: readonly string[];
}

/** How long nothing more may happen before a run that came to the end of its record is done. */
const QUIET_MS = 3_000;
/** For a step that will never be allowed: longer than any worker waits without suspending. */
const NEVER_MS = 24 * 3_600_000;

/** One run of the rehearsal. */
class RehearsedRun {
  readonly seeded: Seeded;
  readonly verdict: Deferred<Verdict> = deferred();
  readonly #next = new Set<string>();
  #quiet: NodeJS.Timeout | undefined;

  constructor(seeded: Seeded) {
    this.seeded = seeded;
  }

  /** The code wants to do something that is not recorded. */
  wants(key: string): void {
    this.#next.add(key);
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.end("open"), QUIET_MS);
  }

  end(outcome: Outcome, detail = "", unconsumed: readonly string[] = []): void {
    clearTimeout(this.#quiet);
    const { runId, length, end } = this.seeded;
    const next = [...this.#next];
    const asksForMore = outcome === "open" && end !== undefined && next.length > 0;
    this.verdict.resolve({
      runId,
      outcome: asksForMore ? "more" : outcome,
      length,
      detail: asksForMore
        ? `It continues, where the record ends with ${describeEnd(end)}.`
        : detail,
      next,
      unconsumed,
    });
  }

  /** Whether anything but the record was wanted. */
  get goesOn(): boolean {
    return this.#next.size > 0;
  }
}

export class Rehearsal {
  readonly engine: EngineApi;
  readonly #inner: EngineApi;
  readonly #parts: ReadonlyMap<string, RehearsedRun>;

  constructor(inner: EngineApi, seeded: readonly Seeded[]) {
    this.#inner = inner;
    this.#parts = new Map(seeded.map((one) => [one.runId, new RehearsedRun(one)]));
    const closed = readOnly(inner);
    this.engine = {
      ...closed,
      runs: { ...closed.runs, start: (caller, start) => this.#start(caller, start, closed) },
      steps: {
        ...closed.steps,
        start: (caller, started) => this.#stepStarted(caller, started),
        complete: async (_, { runId, key, fence }) => this.#executed(runId, key, fence),
        fail: async (_, { runId, key, fence }) => this.#executed(runId, key, fence),
      },
      outcomes: {
        ...closed.outcomes,
        suspend: async (_, { runId, unconsumed = [] }) => {
          this.#part(runId)?.end("open", "", unconsumed);
          return { resumed: false, directive: "continue", resolved: [] };
        },
        complete: async (_, complete) => this.#completed(complete),
        fail: async (_, fail) => this.#failed(fail),
      },
      workers: {
        attach: async (caller, worker, sink) =>
          withoutStarts(await inner.workers.attach(caller, worker, confirming(sink))),
      },
      polling: {
        ...closed.polling,
        poll: async (...args) =>
          (await inner.polling.poll(...args)).map((item) => ({ ...item, confirmStarts: true })),
      },
    };
  }

  /** Resolves with a run's verdict, as soon as there is one. */
  verdict(runId: string): Promise<Verdict> {
    const part = this.#part(runId);
    if (part === undefined) throw new TypeError(`Run ${runId} is not in this rehearsal.`);
    return part.verdict.promise;
  }

  async #start(caller: Caller, start: StartRun, closed: EngineApi): Promise<StartedRun> {
    if (start.parent === undefined) return await closed.runs.start(caller, start);
    const { runId, key, fence } = start.parent;
    this.#part(runId)?.wants(key);
    throw leaseLost(runId, fence, fence + 1);
  }

  #part(runId: string): RehearsedRun | undefined {
    return this.#parts.get(runId);
  }

  async #stepStarted(caller: Caller, started: StepStarted): Promise<StepStartedReply> {
    const { runId, key, kind } = started;
    const wait: StepStartedReply = {
      outcome: { kind: "wait", until: systemClock.now() + NEVER_MS, why: "backoff", attempt: 1 },
      directive: "continue",
    };
    const recorded = await this.#inner.steps.get(caller, runId, key);
    if (recorded === undefined && kind !== "step" && kind !== "value") {
      this.#part(runId)?.wants(key);
      return wait;
    }
    const reply = await this.#inner.steps.start(caller, started);
    if (reply.outcome.kind !== "execute" && reply.outcome.kind !== "unknown_outcome") return reply;
    this.#part(runId)?.wants(key);
    return wait;
  }

  /** A worker that ran a step without being allowed to: an SDK that does not know `confirm_starts`. */
  #executed(runId: string, key: string, fence: number): never {
    const part = this.#part(runId);
    part?.wants(key);
    part?.end("open", `The worker ran ${key} without asking; its SDK is too old for replays.`);
    throw leaseLost(runId, fence, fence + 1);
  }

  #completed({ runId, output, unconsumed }: CompleteRun): OutcomeReply {
    const part = this.#part(runId);
    const end = part?.seeded.end;
    if (end === undefined) part?.end("open", "The code now ends here.", unconsumed);
    else if (end.type !== "run.completed") {
      part?.end("different", `It now completes; the record ends with ${describeEnd(end)}.`);
    } else if (!isSame(end, output)) {
      part?.end("different", "It completes with another result than the recorded one.");
    } else part?.end("same", "", unconsumed);
    return { directive: "continue" };
  }

  #failed({ runId, failure, nonDeterminism }: FailRun): OutcomeReply {
    const part = this.#part(runId);
    const end = part?.seeded.end;
    if (nonDeterminism !== undefined) {
      const { stepKey, recorded, attempted, likelyCause } = nonDeterminism;
      const cause = likelyCause === "" ? "" : ` Likely cause: ${likelyCause}.`;
      part?.end(
        "mismatch",
        `${stepKey} is recorded as ${recorded}, and the code asks for ${attempted}.${cause}`,
      );
    } else if (end?.type === "run.failed" && end.failure?.type === failure.type) {
      part?.end("same");
    } else {
      const before = end === undefined ? "is still open" : `ends with ${describeEnd(end)}`;
      part?.end("different", `It now fails with ${failure.type}; the record ${before}.`);
    }
    return { directive: "continue" };
  }
}

function describeEnd({ type, failure }: JournalEntry): string {
  return failure === undefined ? type : `${type} (${failure.type})`;
}

/** Of JSON the values count: languages write members in other orders, and escape other signs. */
function isSame(end: JournalEntry, output: Payload): boolean {
  const recorded = end.payload;
  if (recorded === undefined || output.data === undefined) return recorded === undefined;
  const encoding = recorded.encoding === "" ? "json" : recorded.encoding;
  if (encoding !== (output.encoding === "" ? "json" : output.encoding)) return false;
  if (Buffer.from(recorded.data).equals(output.data)) return true;
  if (encoding !== "json" && encoding !== "json+pawl") return false;
  const value = (data: Uint8Array): unknown => JSON.parse(Buffer.from(data).toString("utf8"));
  try {
    return isDeepStrictEqual(value(recorded.data), value(output.data));
  } catch (cause) {
    if (cause instanceof SyntaxError) return false;
    throw cause;
  }
}

/** The same sink, for dispatches whose steps have to be asked for. */
function confirming(sink: ConnectionSink): ConnectionSink {
  return {
    dispatch: (item) => sink.dispatch({ ...item, confirmStarts: true }),
    cancel: (...args) => sink.cancel(...args),
    pause: (...args) => sink.pause(...args),
    waitResolved: (...args) => sink.waitResolved(...args),
    reserve: (...args) => sink.reserve(...args),
    reserveReply: (...args) => sink.reserveReply(...args),
    leaseResults: (...args) => sink.leaseResults(...args),
    drain: () => sink.drain(),
    close: (reason) => sink.close(reason),
  };
}

/** The same connection, in which starts that ride ahead are not shown to anybody. */
function withoutStarts(connection: WorkerConnection): WorkerConnection {
  return {
    connectionId: connection.connectionId,
    caller: connection.caller,
    survived: connection.survived,
    credits: (count) => connection.credits(count),
    ack: (...args) => connection.ack(...args),
    nack: (...args) => connection.nack(...args),
    heartbeat: () => connection.heartbeat(),
    draining: () => connection.draining(),
    stepStartedLive: () => undefined,
    closed: () => connection.closed(),
  };
}
