/** Live output: events, progress, log lines and spans. */
import { uuidv7 } from "../lib/ids.ts";
import { publish } from "../run/events.ts";
import { checkName } from "../run/keys.ts";
import { contexts } from "./current.ts";
import { guarded } from "./place.ts";
import type { EmitOptions } from "./types.ts";
import { WaitFeature } from "./wait-feature.ts";

export abstract class OutputFeature extends WaitFeature {
  emit(type: string, data?: unknown, options?: EmitOptions): void {
    checkName("an event type", type);
    publish(this.run, type, data, this.placeHere(options));
  }
  progress(done: number, total?: number, note?: string): void {
    const counted = total === undefined ? { done } : { done, total };
    this.emit("progress", note === undefined ? counted : { ...counted, note });
  }
  log(level: "debug" | "info" | "warn" | "error", message: string, data?: unknown): void {
    const line = data === undefined ? { level, message } : { level, message, data };
    this.emit("log", line, { keep: "durable" });
  }

  span<R>(type: string, fn: () => R, data?: unknown): Promise<Awaited<R>> {
    return guarded(() => this.#runSpan(type, fn, data));
  }

  async #runSpan<R>(type: string, fn: () => R, data: unknown): Promise<Awaited<R>> {
    const id = `${this.run.runId}/span-${uuidv7()}`;
    this.emit(`${type}.started`, data, { id });
    const inner = this.inSpan(id);
    try {
      return await contexts.run(inner, fn);
    } finally {
      contexts.run(inner, () => inner.emit(`${type}.completed`));
    }
  }
}
