/** The calls that clients make as unary calls and as frames of their stream alike. */

import type { Duration } from "@bufbuild/protobuf/wkt";
import type {
  CancelRunRequest,
  GetRunRequest,
  SendSignalRequest,
  StartAndWait,
  StartRunRequest,
  WaitRunRequest,
} from "@pawl/proto";
import { RunView } from "@pawl/proto";
import { actorOf } from "../auth/actor.ts";
import type { EngineApi } from "../engine/engine-api.ts";
import { BOUNDS } from "../model/bounds.ts";
import { invalid } from "../model/errors.ts";
import type { CallContext } from "./binding.ts";
import { sendSignalIn } from "./convert/event-messages.ts";
import { durationMs, runId, text } from "./convert/fields.ts";
import { runOut, startRunIn } from "./convert/run-messages.ts";
import { workItemOut } from "./convert/worker-messages.ts";

export const REASON_BYTES = 1_024;

export class ClientCalls {
  readonly #engine: EngineApi;

  constructor(engine: EngineApi) {
    this.#engine = engine;
  }

  async startRun(request: StartRunRequest, { caller }: CallContext) {
    const { run, existing, claimed } = await this.#engine.runs.start(caller, startRunIn(request));
    const item = claimed === undefined ? {} : { claimed: workItemOut(claimed) };
    return { run: runOut(run), existing, ...item };
  }

  async startAndWait({ start, timeout }: StartAndWait, { caller, signal }: CallContext) {
    if (start === undefined) throw invalid("start", "must be set");
    if (start.claim) throw invalid("start.claim", "cannot be waited for; use StartRun");
    const timeoutMs = timeoutIn(timeout);
    const asked = startRunIn(start);
    const { runs } = this.#engine;
    const { run, existing } = await runs.startAndWait(caller, asked, timeoutMs, signal);
    return { run: runOut(run), existing };
  }

  async waitRun(request: WaitRunRequest, { caller, signal }: CallContext) {
    const wait = { runId: runId(request.runId), timeoutMs: timeoutIn(request.timeout) };
    return { run: runOut(await this.#engine.runs.wait(caller, wait, signal)) };
  }

  async getRun(request: GetRunRequest, { caller }: CallContext) {
    const view = request.view === RunView.BASIC ? "basic" : "full";
    return { run: runOut(await this.#engine.runs.get(caller, runId(request.runId), view)) };
  }

  async cancelRun(request: CancelRunRequest, { caller }: CallContext) {
    const { grace, force } = request;
    const graceMs = grace
      ? durationMs("grace", grace, BOUNDS.cancelGraceMaxMs)
      : BOUNDS.cancelGraceMs;
    const reason = text("reason", request.reason, REASON_BYTES);
    const cancel = { runId: runId(request.runId), reason, graceMs, force };
    return { run: runOut(await this.#engine.runs.cancel(caller, cancel)) };
  }

  async sendSignal(request: SendSignalRequest, { caller }: CallContext) {
    const signal = sendSignalIn(request);
    const actor = actorOf(caller, signal.actor);
    return await this.#engine.signals.send(caller, { ...signal, actor });
  }
}

function timeoutIn(timeout: Duration | undefined): number {
  const asked = timeout === undefined ? BOUNDS.waitRunMs : durationMs("timeout", timeout);
  return Math.min(asked, BOUNDS.waitRunMs);
}
