import type { EventView } from "@pawl/worker";
import { expect } from "vitest";

/**
 * What was committed before the watcher's eyes is the result, word for word, of one run or of several.
 * Returns how often that was.
 */
export function expectWhole(events: readonly EventView[]): number {
  const texts = new Map<string, string>();
  const name = ({ runId, stepKey, attempt }: EventView) => `${runId} ${stepKey}@${attempt}`;
  let committed = 0;
  for (const [index, event] of events.entries()) {
    if (event.type === "output.delta")
      texts.set(name(event), (texts.get(name(event)) ?? "") + String(event.payload));
    if (event.type === "rollback") texts.delete(name(event));
    if (event.type !== "commit") continue;
    committed += 1;
    const result = events
      .slice(index)
      .find(({ type, runId }) => type === "workflow.step.completed" && runId === event.runId);
    expect(texts.get(name(event))).toBe(result?.entry?.payload);
  }
  return committed;
}
