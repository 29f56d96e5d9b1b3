/**
 * Goal: who watches a run whose steps are agents sees what these tell, as they tell it, under the
 * right parents, once; and the steps' results are the agents' outputs.
 * Method: worker processes that are killed in the middle of an agent and after it, on both stores;
 * one watcher from the beginning, one that comes late, one that reads it all afterwards.
 */
import type { ChildProcess } from "node:child_process";
import { Client, type EventView } from "@pawl/worker";
import { describe, expect, test } from "vitest";
import { createDatabase } from "../harness/database.ts";
import { startServer } from "../harness/server.ts";
import { stores } from "../semantics/lab.ts";
import { kill, startProgram } from "./stage.ts";

/** What watchers are to hold in the end: without what was taken back. */
function settled(events: readonly EventView[]): EventView[] {
  let kept: EventView[] = [];
  for (const event of events) {
    if (event.type === "rollback") {
      kept = kept.filter(
        ({ class: kind, stepKey, attempt }) =>
          kind === "checkpoint" || stepKey !== event.stepKey || attempt !== event.attempt,
      );
    } else kept.push(event);
  }
  return kept;
}

/** Each event's ancestors by what they are called, outermost first. */
function pathOf(event: EventView, events: readonly EventView[]): string {
  const parent = events.find(({ eventId }) => eventId === event.parentEventId);
  const { name, tool } = (event.payload ?? {}) as { name?: string; tool?: string };
  const own = [event.type, name ?? tool].filter((part) => part !== undefined).join(" ");
  return `${parent === undefined ? event.parentEventId : pathOf(parent, events)} > ${own}`;
}

/** What the run's watcher holds of the agents, and their result. */
function checkStory(events: readonly EventView[]): void {
  const kept = settled(events).filter(({ class: kind }) => kind === "delta");
  const write = kept.filter(({ stepKey, type }) => stepKey === "write" && type !== "commit");
  const told = write.filter(({ type }) => type !== "workflow.step.started");
  const inWriter = "book/write > agent.started writer";
  const ofReader = [
    `${inWriter} > agent.started reader`,
    `${inWriter} > agent.started reader > lm.message.start`,
    ...Array(3).fill(`${inWriter} > agent.started reader > lm.message.start > lm.message.delta`),
    `${inWriter} > agent.started reader > lm.message.start > lm.message.stop`,
    `${inWriter} > agent.started reader > agent.completed reader`,
  ];
  for (const index of [1, 2]) {
    const one = told.filter(({ contentIndex }) => contentIndex === index);
    expect(one.map((event) => pathOf(event, told))).toEqual(ofReader);
    expect(new Set(one.slice(2).map(({ parentEventId }) => parentEventId)).size).toBe(2);
  }
  expect(
    told.filter(({ contentIndex }) => contentIndex === 0).map((event) => pathOf(event, told)),
  ).toEqual([
    inWriter,
    ...ofReader,
    `${inWriter} > tool.call.started count`,
    `${inWriter} > tool.call.started count > tool.call.delta`,
    `${inWriter} > tool.call.started count > tool.call.completed`,
    `${inWriter} > lm.thinking.delta`,
    `${inWriter} > mood`,
    `${inWriter} > agent.completed writer`,
  ]);
  expect(told.at(-1)?.payload).toEqual({ name: "writer", output: [4, 4, 7] });
  expect(new Set(told.map(({ eventId }) => eventId)).size).toBe(told.length);
  const step = events.find(
    ({ type, stepKey }) => type === "workflow.step.completed" && stepKey === "write",
  );
  expect(step?.entry?.payload).toEqual([4, 4, 7]);
  // The replays of the third lease said nothing again.
  expect(told.filter(({ payload }) => payload === "hm")).toHaveLength(1);
  expect(kept.filter(({ payload }) => payload === "aside")).toHaveLength(1);
}

describe.each(stores)("%s", (store) => {
  test("agents within agents, concurrently, through crashes", async () => {
    await using server = await startServer(
      store === "postgres" ? { store: await createDatabase("agents") } : {},
    );
    const client = new Client({ url: server.grpcUrl });
    const workers: ChildProcess[] = [];
    const nextWorker = async () => {
      const worker = await startProgram("agents-worker.ts", server.grpcUrl);
      workers.push(worker);
      return worker;
    };
    try {
      const handle = client.handle("book");
      const events: EventView[] = [];
      const waiting: { found: (event: EventView) => boolean; resolve: () => void }[] = [];
      const until = (found: (event: EventView) => boolean) =>
        new Promise<void>((resolve) => waiting.push({ found, resolve }));
      const watched = (async () => {
        for await (const event of handle.watch({ waitForStart: true })) {
          events.push(event);
          for (const { found, resolve } of waiting) if (found(event)) resolve();
        }
      })();
      const thinking = until(({ type }) => type === "lm.thinking.delta");
      const first = await nextWorker();
      await client.start("write", undefined, { runId: "book" });
      await thinking;
      // Who comes now gets the open texts, each agent's apart.
      const late: EventView[] = [];
      for await (const event of handle.watch()) {
        late.push(event);
        if (event.type === "lm.thinking.delta") break;
      }
      const texts = late.filter(({ type }) => type === "lm.message.delta");
      expect(texts.map(({ payload }) => payload).sort()).toEqual([
        "read about cats",
        "read about mice",
        "read about the end",
      ]);
      const taken = until(({ type }) => type === "rollback");
      await kill(first);
      const aside = until(({ payload: data }) => data === "aside");
      // What the first one said is taken back once another one has the run: until then the first
      // might still record it.
      const second = await nextWorker();
      await taken;
      await aside;
      await kill(second);
      await nextWorker();
      expect(await handle.result()).toEqual({ numbers: [4, 4, 7], text: "text" });
      await watched;

      checkStory(events);
      expect(events.at(-1)?.type).toBe("run.completed");
    } finally {
      await Promise.all(workers.map(kill));
      client.close();
    }
  });
});
