/**
 * Goal: an event, an entry, a run and a wait have one form of JSON, wherever they come from.
 * Method: one run is read as server-sent events, as pages of REST, and by the SDK: as its own
 * response of server-sent events, and by JSON.stringify. All must say the same.
 */
import {
  Client,
  type RunHandle,
  silentLogger,
  toReadableStream,
  toResponse,
  Worker,
  workflow,
} from "@pawl/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../harness/server.ts";

const flow = workflow("one-form", async (ctx, input: { title: string }) => {
  await ctx.step("write", async function* () {
    yield "Dear ";
    yield "Ada";
  });
  await ctx.step("values", () => ({ at: new Date(0), empty: "", bytes: new Uint8Array([1, 2]) }));
  await ctx
    .step("fails", () => Promise.reject(new TypeError("it does not work")))
    .catch(() => undefined);
  await ctx.sleep("5 ms");
  await ctx.waitForUser("Ship it?", { type: "approval" });
  return { title: input.title };
});

let server: TestServer;
let worker: Worker;
let client: Client;
beforeAll(async () => {
  server = await startServer();
  worker = new Worker({ url: server.grpcUrl, workflows: [flow], logger: silentLogger });
  await worker.start();
  client = new Client({ url: server.grpcUrl });
});
afterAll(async () => {
  client.close();
  await worker.stop();
  await server.stop();
});

async function rest(path: string): Promise<unknown> {
  const response = await fetch(`${server.httpUrl}/v1/${path}`, {
    headers: { accept: "application/json" },
  });
  return response.json();
}

/** The data of server-sent events. */
function dataIn(text: string): unknown[] {
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, json = ""]) => JSON.parse(json));
}

function checkpointsIn(events: readonly unknown[]): unknown[] {
  return (events as { class: string }[])
    .filter((event) => event.class === "checkpoint")
    .map((event) => ({ ...event, cursor: "" }));
}

function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

async function all(values: AsyncIterable<unknown>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const value of values) found.push(asJson(value));
  return found;
}

async function open(run: RunHandle): Promise<void> {
  await expect.poll(async () => (await run.get()).status).toBe("waiting");
}

test("runs and waits look the same by REST and by the SDK", async () => {
  const run = await client.start(flow, { title: "a" }, { runId: "form-1", tags: { team: "docs" } });
  await open(run);
  const waiting = await run.get();
  expect(asJson(waiting)).toEqual(await rest("runs/form-1"));
  expect(waiting.waits[0]).toMatchObject({ kind: "user", stepKey: waiting.waits[0]?.stepKey });
  const listed = await client.waits({ runId: "form-1" });
  expect({ waits: asJson(listed.waits) }).toEqual(await rest("waits?runId=form-1"));
  const waitId = listed.waits[0]?.waitId ?? "";
  expect(waiting.waits[0]?.waitId).toBe(waitId);
  await client.answer(waitId, true, { actor: "ada", comment: "" });
  await run.result();
  const { wait } = (await rest(`waits/${waitId}`)) as { wait: unknown };
  expect(asJson(await client.wait(waitId))).toEqual(wait);
  expect(wait).toMatchObject({ kind: "user", outcome: "answered", answers: [{ via: "api" }] });
  const ended = await rest("runs/form-1");
  expect(asJson(await run.get())).toEqual(ended);
  expect(ended).toMatchObject({ status: "completed", output: { title: "a" } });
});

test("events and entries look the same in a stream, in a page, and by the SDK", async () => {
  const run = await client.start(flow, { title: "b" }, { runId: "form-2" });
  await open(run);
  const [asked] = (await client.waits({ runId: "form-2" })).waits;
  await client.answer(asked?.waitId ?? "", false, { actor: "bob" });
  await run.result();
  const stream = await fetch(`${server.httpUrl}/v1/runs/form-2/events`);
  const events = dataIn(await stream.text());
  const page = (await rest("runs/form-2/events?pageSize=1000")) as { events: unknown[] };
  // A page also has output that the results of its steps have superseded, and its own cursors.
  expect(checkpointsIn(page.events)).toEqual(checkpointsIn(events));
  const request = new Request("http://localhost/");
  const whole = await toResponse(run, request, { map: (event) => event });
  expect(dataIn(await whole.text())).toEqual(events);
  expect(await all(toReadableStream(run.watch()))).toEqual(events);
  const { entries } = (await rest("runs/form-2/journal")) as { entries: unknown[] };
  expect(await all(run.journal())).toEqual(entries);
  expect(events).toContainEqual(
    expect.objectContaining({
      type: "workflow.step.completed",
      class: "checkpoint",
      stepKey: "write",
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      entry: expect.objectContaining({ kind: "step", payload: "Dear Ada" }),
    }),
  );
});
