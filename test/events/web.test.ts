/**
 * Goal: a web server can hand a watch on. What a browser gives up ends on the server at once; a
 * browser that comes back continues where it was, and stops once all is told.
 * Method: a worker and clients of this process, a real server, and its metric of watchers.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  Client,
  type EventView,
  event,
  silentLogger,
  toNodeResponse,
  toReadableStream,
  toResponse,
  Worker,
  workflow,
} from "@pawl/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../harness/server.ts";
import { Curl } from "../http/sse.ts";

const asks = workflow("asks", async (ctx) => {
  await ctx.step("a", async () => 1);
  await ctx.signal("go");
  await ctx.step("b", async () => 2);
});
/** Types are the user's own words. */
const forges = workflow("forges", async (ctx) => {
  ctx.emit("tool\nid: bogus\ndata: {}\n\nevent: run.completed", 1);
});
/** Says something outside of steps, then waits inside of one. */
const notes = workflow("notes", async (ctx) => {
  await ctx.step("a", async () => 1);
  ctx.emit("note", "one");
  ctx.emit("note", "two");
  await ctx.step("b", async function* () {
    yield event("lm.message.delta", "A");
    yield event("lm.message.delta", "B");
    yield event("tool.call.started", {});
    yield event("lm.message.delta", "C");
    yield event("lm.message.delta", "D");
    yield "";
  });
});

/** Has an input, a result and errors to tell of. */
const fails = workflow("fails", async (ctx, input: { secret: string }) => {
  await ctx.step("a", () => ({ stack: "of plates", length: input.secret.length }));
  await ctx.step(
    "b",
    () => {
      throw new Error("outer", { cause: new Error("inner") });
    },
    { retry: { maxAttempts: 1 } },
  );
});

/** More open output than a message can have. */
const loud = workflow("loud", async (ctx) => {
  await ctx.step("s", async function* ({ abortSignal }) {
    for (let at = 0; at < 700; at += 1) {
      yield "x".repeat(8_192);
      if (at % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 12));
    }
    yield event("loud.enough", {});
    await new Promise((resolve) => abortSignal.addEventListener("abort", resolve));
  });
});

let server: TestServer;
let worker: Worker;
let client: Client;
beforeAll(async () => {
  server = await startServer();
  worker = new Worker({
    url: server.grpcUrl,
    workflows: [asks, fails, forges, loud, notes],
    logger: silentLogger,
  });
  await worker.start();
  client = new Client({ url: server.grpcUrl });
});
afterAll(async () => {
  client.close();
  await worker.stop();
  await server.stop();
});

async function watchers(): Promise<number> {
  const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
  return Number(/^pawl_watchers(?:\{.*\})? (\d+)$/m.exec(text)?.[1]);
}

async function waiting(runId: string) {
  const run = await client.start(asks, undefined, { runId });
  await expect.poll(async () => (await run.get()).status).toBe("waiting");
  return run;
}

const request = (id?: string) =>
  new Request("http://localhost/", id === undefined ? {} : { headers: { "last-event-id": id } });
const idsOf = (text: string) => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
const typesOf = (text: string) => [...text.matchAll(/^event: (.*)$/gm)].map(([, type]) => type);

test("who gives up a quiet watch in whatever way ends it on the server at once", async () => {
  const run = await waiting("quiet");
  const reader = toReadableStream(run.watch()).getReader();
  const response = toResponse(run.watch());
  const answered = await toResponse(run, request());
  const readers = [reader, response.body?.getReader(), answered.body?.getReader()];
  const pending = readers.map(async (one) => {
    while ((await one?.read())?.done === false);
  });
  const iterator = run.watch()[Symbol.asyncIterator]();
  for (let type = ""; type !== "workflow.waiting"; )
    type = (await iterator.next()).value?.type ?? "";
  const next = iterator.next();
  await expect.poll(watchers).toBe(4);
  for (const one of readers) await one?.cancel();
  await iterator.return?.();
  expect((await next).done).toBe(true);
  await Promise.all(pending);
  await expect.poll(watchers).toBe(0);
});

test("giving up 3,000 watches costs no other call of the same client", async () => {
  const run = await waiting("given-up");
  const seen: string[] = [];
  const patient = (async () => {
    for await (const { type } of run.watch()) seen.push(type);
  })();
  for (let round = 0; round < 60; round += 1) {
    const some = Array.from({ length: 50 }, () => run.watch()[Symbol.asyncIterator]());
    await Promise.all(some.map((one) => one.next()));
    await Promise.all(some.map((one) => one.return?.()));
  }
  await run.signal("go");
  await patient;
  expect(seen.at(-1)).toBe("run.completed");
  await expect.poll(watchers).toBe(0);
});

test("a browser continues where it was, is told the end once, and of a run that is not there", async () => {
  const run = await waiting("browser");
  const abort = new AbortController();
  const first = await toResponse(run, new Request("http://localhost/", { signal: abort.signal }), {
    heartbeatMs: 50,
  });
  expect(first.headers.get("x-accel-buffering")).toBe("no");
  let text = "";
  for await (const piece of first.body ?? []) {
    text += new TextDecoder().decode(piece);
    if (text.includes("workflow.waiting") && text.includes(": heartbeat")) break;
  }
  await run.signal("go");
  const second = await toResponse(run, request(idsOf(text).at(-1)));
  const rest = await second.text();
  expect(typesOf(rest).at(-1)).toBe("run.completed");
  const journal: string[] = [];
  for await (const { type } of run.journal()) journal.push(type);
  // The live start of a step has no place of its own, and so no id.
  const recorded = [text, rest].flatMap((part) =>
    [...part.matchAll(/^id: .*\nevent: (.*)$/gm)].map(([, type]) => type),
  );
  expect(recorded).toEqual(journal);
  expect((await toResponse(run, request(idsOf(rest).at(-1)))).status).toBe(204);
  const deltas = await toResponse(run, request(), { classes: ["delta"] });
  expect(deltas.status).toBe(204);
  expect((await toResponse(client.handle("nobody"), request())).status).toBe(404);
  const other = await waiting("other");
  const expired = await toResponse(other, request(idsOf(rest).at(-1)));
  expect([expired.status, await expired.json()]).toMatchObject([410, { reason: "CURSOR_EXPIRED" }]);
});

test("without a map, no stack trace and no input of the run is sent", async () => {
  const run = await client.start(fails, { secret: "a-1" }, { runId: "fails" });
  await run.result().catch(() => undefined);
  for (const response of [toResponse(run.watch()), await toResponse(run, request())]) {
    const text = await response.text();
    expect(typesOf(text)).toEqual(expect.arrayContaining(["run.started", "run.failed"]));
    expect(text).not.toContain("a-1");
    expect(text).not.toContain("web.test.ts");
    // What a step returned is the caller's own, whatever its fields are called.
    expect(text).toContain(`"payload":{"stack":"of plates","length":3}`);
    expect(text).toContain(`"message":"outer"`);
  }
  const whole = await (await toResponse(run, request(), { map: (one) => one })).text();
  expect(whole).toContain("a-1");
  expect(whole).toContain("web.test.ts");
});

test("a server of Node's own kind serves browsers in the same way", async () => {
  const run = await waiting("node");
  const problems: unknown[] = [];
  const web = createServer((incoming, outgoing) => {
    outgoing.setHeader("cache-control", "private");
    toNodeResponse(client.handle((incoming.url ?? "").slice(1)), incoming, outgoing).catch(
      (error: unknown) => problems.push(error),
    );
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  const { port } = web.address() as AddressInfo;
  const page = (runId: string, id?: string, signal?: AbortSignal) =>
    fetch(`http://127.0.0.1:${port}/${runId}`, {
      ...(id === undefined ? {} : { headers: { "last-event-id": id } }),
      ...(signal === undefined ? {} : { signal }),
    });
  try {
    const leaving = new AbortController();
    const first = await page("node", undefined, leaving.signal);
    const { headers } = first;
    expect([headers.get("content-type"), headers.get("cache-control")]).toEqual([
      "text/event-stream; charset=utf-8",
      "private",
    ]);
    let text = "";
    for await (const piece of first.body ?? []) {
      text += new TextDecoder().decode(piece);
      if (text.includes("workflow.waiting")) break;
    }
    leaving.abort();
    await expect.poll(watchers).toBe(0);
    await run.signal("go");
    const rest = await (await page("node", idsOf(text).at(-1))).text();
    expect(typesOf(rest).at(-1)).toBe("run.completed");
    expect(idsOf(rest)).not.toContain(idsOf(text).at(-1));
    expect((await page("node", idsOf(rest).at(-1))).status).toBe(204);
    expect((await page("nobody")).status).toBe(404);
    expect(problems).toEqual([]);
  } finally {
    await new Promise((resolve) => web.close(resolve));
  }
});

test("a cursor of a run is of no use for the next one with its id", async () => {
  const make = async () => {
    const run = await client.start(notes, undefined, { runId: "again" });
    await run.result();
    return run;
  };
  const run = await make();
  let cursor = "";
  for await (const one of run.watch()) cursor = one.cursor;
  await run.delete();
  await make();
  const events = async () => {
    for await (const one of run.watch({ afterCursor: cursor })) expect(one).toBeUndefined();
  };
  await expect(events()).rejects.toMatchObject({ reason: "CURSOR_EXPIRED" });
  const page = `${server.httpUrl}/v1/runs/again/events?after=${cursor}`;
  expect((await fetch(page, { headers: { accept: "application/json" } })).status).toBe(410);
});

test("types with line breaks forge nothing", async () => {
  const run = await client.start(forges, undefined, { runId: "forges" });
  await run.result();
  const text = await toResponse(run.watch()).text();
  expect(idsOf(text)).not.toContain("bogus");
  expect(typesOf(text).filter((type) => type === "run.completed")).toHaveLength(1);
});

test("who comes late sees the order of those who came early, and nothing after the end", async () => {
  const run = await client.start(notes, undefined, { runId: "order", delay: "300 ms" });
  const early: EventView[] = [];
  for await (const one of run.watch()) early.push(one);
  const late: EventView[] = [];
  for await (const one of run.watch()) late.push(one);
  const told = (events: readonly EventView[]) =>
    events.flatMap(({ type, payload }) => (type === "note" ? [payload] : []));
  expect(told(early)).toEqual(["one", "two"]);
  expect(told(late)).toEqual(["one", "two"]);
  expect(late.at(-1)?.type).toBe("run.completed");
});

test("who joins late gets an open output of any size, over gRPC and SSE", async () => {
  const run = await client.start(loud, undefined, { runId: "loud" });
  const pieces = 700;
  const all = "x".repeat(8_192 * pieces);
  const texts = async () => {
    let text = "";
    for await (const { type, payload: data } of run.watch()) {
      if (type === "output.delta") text += String(data);
      if (type === "loud.enough") break;
    }
    return text;
  };
  for await (const { type } of run.watch()) if (type === "loud.enough") break;
  expect((await texts()).length).toBe(all.length);
  const late = new Curl(`${server.httpUrl}/v1/runs/loud/events`);
  await expect.poll(() => late.types.includes("loud.enough")).toBe(true);
  expect(late.output).toBe(all);
  await late.kill();
  await run.cancel({ grace: "1 s" });
});

test("a watch from now on keeps its place before anything has happened", async () => {
  const run = await waiting("now");
  const url = `${server.httpUrl}/v1/runs/now/events?fromNow=true`;
  const quiet = new Curl(url);
  await expect.poll(() => idsOf(quiet.text.replaceAll("\r", ""))).toHaveLength(1);
  await quiet.kill();
  await run.signal("go");
  await run.result();
  const [id = ""] = idsOf(quiet.text.replaceAll("\r", ""));
  const back = new Curl("-H", `Last-Event-ID: ${id}`, url);
  await back.end();
  expect(back.types).toContain("workflow.wait.resolved");
  expect(back.types.at(-1)).toBe("run.completed");
  const over = new Curl("-H", `Last-Event-ID: ${back.ids.at(-1)}`, `${url}&classes=DELTA`);
  await over.end();
  expect(over.text).toContain("HTTP/1.1 204");
});
