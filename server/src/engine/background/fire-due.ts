import { BOUNDS } from "../../model/bounds.ts";
import type { SubjectKind } from "../../model/ids.ts";
import type { DueItem } from "../../store/due.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { type DueParts, decideDue } from "../due/due-handler.ts";
import { DUE_HANDLERS } from "../due/due-handlers.ts";
import type { EngineSignals } from "../engine-signals.ts";
import type { Writer } from "../writer.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface FireDueParts extends DueParts {
  readonly writer: Writer;
  readonly metrics: Metrics;
  readonly signals: EngineSignals;
}

/** Does what is due. */
export function fireDue(parts: FireDueParts): BackgroundTask {
  const { store, clock, signals } = parts;
  return {
    name: "due",
    periodMs: 1_000,
    wokenBy: [signals.runsChanged],
    wokenAt: signals.dueAt,
    async run() {
      for (;;) {
        const now = clock.now();
        const { items, nextAt } = await store.due(now, BOUNDS.dueItems, now + BOUNDS.dueHoldMs);
        if (items.length === 0) return nextAt;
        const results = await Promise.allSettled(items.map((item) => fire(parts, item)));
        const failed = results.find((result) => result.status === "rejected");
        if (failed !== undefined) throw failed.reason;
      }
    },
  };
}

/** To whom what is due happens. */
const SUBJECTS: Readonly<
  Record<SubjectKind, (parts: FireDueParts, item: DueItem) => Promise<void>>
> = { run: fireForRun };

async function fire(parts: FireDueParts, item: DueItem): Promise<void> {
  parts.metrics.timerLagSeconds.observe(Math.max(0, parts.clock.now() - item.at) / 1_000);
  await SUBJECTS[item.subject.kind](parts, item);
}

async function fireForRun(parts: FireDueParts, item: DueItem): Promise<void> {
  const handler = DUE_HANDLERS[item.kind];
  const decide = "decide" in handler ? handler.decide : await handler.prepare(parts, item);
  await parts.writer.submit({
    org: item.org,
    runId: item.subject.id,
    bytes: 400,
    decide: (draft) => decideDue(draft, item, decide),
  });
}
