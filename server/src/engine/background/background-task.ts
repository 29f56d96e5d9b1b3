import type { Clock } from "../../lib/clock.ts";
import { type Loop, startLoop } from "../../lib/loop.ts";
import type { Signal } from "../../lib/signal.ts";
import type { EngineLog } from "../engine-log.ts";

/**
 * One thing that the engine does by itself, again and again. It reads the store for what to do, so that a
 * restart changes nothing and a signal that is lost costs time only.
 */
export interface BackgroundTask {
  readonly name: string;
  /** How often it runs at least. */
  readonly periodMs: number;
  /** What makes it run at once. */
  readonly wokenBy?: readonly Signal[];
  /** What makes it run at some time. */
  readonly wokenAt?: Signal<number>;
  /** Returns when to run next, if that is sooner than the period; in ms since the epoch. */
  run(): Promise<number | undefined>;
}

export function startTask(task: BackgroundTask, clock: Clock, log: EngineLog): Loop {
  const loop = startLoop({
    name: task.name,
    periodMs: task.periodMs,
    run: () => task.run(),
    now: () => clock.now(),
    onError: (name, error) => log.warn("loop.failed", { loop: name, error }),
  });
  for (const signal of task.wokenBy ?? []) signal.on(loop.wake);
  task.wokenAt?.on(loop.wakeAt);
  return loop;
}
