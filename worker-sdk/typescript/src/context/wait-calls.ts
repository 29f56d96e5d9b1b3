/** Sleeps and signals. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { StepKind } from "@pawl/proto";
import { type Duration, durationFromMs, momentMs, waitingMs } from "../duration.ts";
import { UsageError, WaitTimeoutError } from "../errors.ts";
import { checkName, type Namespace } from "../run/keys.ts";
import type { Scope } from "../run/scope.ts";
import { type Resolution, type WaitCall, WaitOperation } from "../run/wait.ts";
import type { Place } from "./place.ts";
import type { CronTime, SignalOptions, SleepOptions } from "./wait-types.ts";

/** Registers a wait under its next key in the context's scope, and waits. */
function openWait(context: Place, namespace: Namespace, call: WaitCall): Promise<unknown> {
  checkName("a wait", call.name);
  const place = context.claim(namespace, call.name, undefined);
  return new WaitOperation(context.base.run, place.scope, place.key, call).open();
}

function sleepCall(name: string, wait: WaitCall["wait"]): WaitCall {
  return { name, kind: StepKind.SLEEP, wait, finish: () => undefined };
}

export function sleepFor(
  context: Place,
  duration: Duration,
  { name = "sleep" }: SleepOptions,
): Promise<unknown> {
  const wait = { duration: durationFromMs(waitingMs(duration)) };
  return openWait(context, "sleep:", sleepCall(name, wait));
}

export function sleepUntil(
  context: Place,
  moment: Date | number | CronTime,
  { name = "sleep" }: SleepOptions,
): Promise<unknown> {
  return openWait(context, "sleep:", sleepCall(name, untilOf(moment)));
}

function untilOf(moment: Date | number | CronTime): WaitCall["wait"] {
  if (typeof moment === "object" && moment !== null && "cron" in moment) {
    const { cron, timeZone = "" } = moment;
    if (typeof cron !== "string" || cron.trim() === "")
      throw new UsageError(
        'ctx.sleepUntil got an empty cron expression; "0 9 * * *" is every day at 9',
      );
    return { cron, timeZone };
  }
  return { until: timestampFromMs(momentMs("ctx.sleepUntil", moment)) };
}

/** Says how the next signal of a name is awaited. */
function signalCall(
  name: string,
  timeout: Duration | undefined,
  atTimeout: (stepKey: string) => unknown,
): WaitCall {
  const finish = ({ outcome, value, stepKey }: Resolution): unknown =>
    outcome === "timed_out" ? atTimeout(stepKey) : value;
  const wait = {
    signalName: name,
    ...(timeout === undefined ? {} : { duration: durationFromMs(waitingMs(timeout)) }),
  };
  return { name, kind: StepKind.SIGNAL, wait, finish };
}

export function awaitSignal(
  context: Place,
  name: string,
  options: SignalOptions<unknown>,
): Promise<unknown> {
  const atTimeout = (stepKey: string): unknown => {
    if ("default" in options) return options.default;
    throw new WaitTimeoutError(`the signal "${name}"`, stepKey);
  };
  return openWait(context, "signal:", signalCall(name, options.timeout, atTimeout));
}

/** Awaits the next signal in a scope that is used for nothing else; `atTimeout` stands for none. */
export function signalIn(
  context: Place,
  scope: Scope,
  name: string,
  timeout: Duration | undefined,
  atTimeout: unknown,
): Promise<unknown> {
  const call = signalCall(name, timeout, () => atTimeout);
  const key = scope.claim("signal:", name, undefined);
  return new WaitOperation(context.base.run, scope, key, call).open();
}
