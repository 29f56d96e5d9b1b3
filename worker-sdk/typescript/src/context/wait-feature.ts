/** What a run waits for: time, signals, people, other systems and child runs. */
import type { Duration } from "../duration.ts";
import { WaitOperation } from "../run/wait.ts";
import { askApproval } from "./approval.ts";
import { BranchFeature } from "./branch-feature.ts";
import { openCallback } from "./callback.ts";
import { childCall, childKey, childName } from "./child.ts";
import { guarded } from "./place.ts";
import type { ApprovalOptions, CallbackOptions } from "./question-types.ts";
import { type AskOptions, askUser } from "./questions.ts";
import { openSignals } from "./signals.ts";
import { spawnChild } from "./spawn.ts";
import type { ChildOptions } from "./types.ts";
import { awaitSignal, sleepFor, sleepUntil } from "./wait-calls.ts";
import type { CronTime, SignalOptions, SignalsOptions, SleepOptions } from "./wait-types.ts";

export abstract class WaitFeature extends BranchFeature {
  sleep(duration: Duration, options: SleepOptions = {}): Promise<void> {
    return guarded(() => sleepFor(this.here, duration, options));
  }

  sleepUntil(moment: Date | number | CronTime, options: SleepOptions = {}): Promise<void> {
    return guarded(() => sleepUntil(this.here, moment, options));
  }

  signal(name: string, options: SignalOptions<unknown> = {}): Promise<never> {
    return guarded(() => awaitSignal(this.here, name, options));
  }

  signals(name: string, options: SignalsOptions = {}): AsyncIterableIterator<never> {
    return openSignals(this.here, name, options);
  }

  waitForUser(question: string, options: AskOptions = {}): Promise<never> {
    return guarded(() => askUser(this.here, question, options));
  }

  approval(question: string, options: ApprovalOptions): Promise<never> {
    return guarded(() => askApproval(this.here, question, options));
  }

  callback(name = "callback", options: CallbackOptions<unknown> = {}): Promise<never> {
    return guarded(() => openCallback(this.here, name, options));
  }

  child(workflow: unknown, input: unknown, options: ChildOptions = {}): Promise<never> {
    return guarded(() => {
      const name = childName("ctx.child", workflow);
      const { scope, key: stepKey } = this.claim("child:", name.name, childKey(options));
      const call = childCall({ run: this.run, scope, stepKey, ...name, input, options });
      const operation = new WaitOperation(this.run, scope, stepKey, call);
      return operation.open();
    });
  }

  spawn(workflow: unknown, input: unknown, options: ChildOptions = {}): Promise<never> {
    return guarded(() => {
      const name = childName("ctx.spawn", workflow);
      const { scope, key: start } = this.claim("spawn:", name.name, childKey(options));
      const { key: wait } = this.claim("child:", name.name, childKey(options));
      const keys = { start, wait };
      return spawnChild({ host: this.base, scope, keys, ...name, input, options });
    });
  }
}
