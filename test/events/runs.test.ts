/**
 * Goal: an exporter gets the checkpoints of all runs that match, in order within each, and loses none
 * by going away.
 * Method: WatchRuns on both stores, left in the middle and gone on with from its cursor.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Event, EventService, RunStatus, type WatchRunsRequestSchema } from "@pawl/proto";
import { expect, test } from "vitest";
import { fenceOf, json, Lab, stores } from "../semantics/lab.ts";

const { watchRuns } = EventService.method;

function follow(lab: Lab, request: MessageInitShape<typeof WatchRunsRequestSchema>) {
  const events: Event[] = [];
  const seen = { events, cursor: "" };
  const stream = lab.client.makeServerStreamRequest(
    `/${EventService.typeName}/${watchRuns.name}`,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => fromBinary(watchRuns.output, bytes),
    Buffer.from(toBinary(watchRuns.input, create(watchRuns.input, request))),
  );
  stream.on("data", (response: { events: Event[]; cursor: string }) => {
    events.push(...response.events);
    seen.cursor = response.cursor;
  });
  stream.on("error", () => undefined);
  return { seen, stop: () => stream.cancel() };
}

test.each(stores)("%s: filters, order, and continuing from a cursor", async (store) => {
  await using lab = await Lab.open(store);
  const flow = lab.name("flow");
  const worker = await lab.worker("session", flow);
  await lab.worker("session", "other");
  const execute = async (runId: string, tags: Record<string, string>) => {
    await lab.start({ workflow: flow, runId, tags });
    const fence = fenceOf(await worker.next(runId));
    const stepKey = "a";
    await worker.stepCompleted({ runId, fence, stepKey, attempt: 1, output: json(1) });
    await worker.completeRun({ runId, fence, output: json(1) });
  };
  const types = ["workflow.step.completed", "run.completed"];
  const first = follow(lab, { workflow: flow, tags: { team: "red" }, types });
  await expect.poll(() => first.seen.cursor).not.toBe("");
  await Promise.all([
    execute("r1", { team: "red" }),
    execute("r2", { team: "red" }),
    execute("b1", { team: "blue" }),
    lab.start({ workflow: "other", runId: "o1", tags: { team: "red" } }),
  ]);
  await expect.poll(() => first.seen.events.length).toBe(4);
  const of = (events: readonly Event[], runId: string) =>
    events.filter((event) => event.runId === runId).map(({ type }) => type);
  expect([of(first.seen.events, "r1"), of(first.seen.events, "r2")]).toEqual([types, types]);
  first.stop();
  // What happens while nobody follows is not lost.
  await execute("r3", { team: "red" });
  const next = follow(lab, { workflow: flow, types, afterCursor: first.seen.cursor });
  await expect.poll(() => of(next.seen.events, "r3")).toEqual(types);
  next.stop();
  // Only of runs that are in this state by then.
  const failed = follow(lab, { statuses: [RunStatus.FAILED], afterCursor: first.seen.cursor });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(failed.seen.events).toEqual([]);
  failed.stop();
});
