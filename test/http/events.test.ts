/**
 * Goal: `curl -N` shows what a run does while it does it, and continues from where it was.
 * Method: curl itself, against a worker whose steps continue when the test lets them; connections and
 * servers are killed in between.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer } from "../harness/server.ts";
import { type Fixture, startFixture } from "./fixture.ts";
import { Curl, type Sse } from "./sse.ts";

let fixture: Fixture;
let url: string;

beforeAll(async () => {
  fixture = await startFixture();
  url = fixture.server.httpUrl;
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

async function start(workflow: string, runId: string, body: unknown = null): Promise<void> {
  const response = await fetch(`${url}/v1/workflows/${workflow}/runs?runId=${runId}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status, await response.text()).toBe(201);
}

let count = 0;
/** A run id of its own for each try of a test. */
function fresh(name: string): string {
  count += 1;
  return `${name}-${count}`;
}

test("tokens are shown while the step runs, and the stream ends after the last event", async () => {
  const live = fresh("live");
  await using curl = new Curl(
    ...["-H", "accept: text/event-stream", "-H", "content-type: application/json"],
    ...["-d", "null", `${url}/v1/workflows/talk/runs?runId=${live}`],
  );
  await expect.poll(() => curl.output).toBe("one ");
  expect(curl.types).not.toContain("workflow.step.completed");
  fixture.gates.open(`${live}/2`);
  await expect.poll(() => curl.output).toBe("one two ");
  fixture.gates.open(`${live}/3`);
  expect(await curl.end()).toBe(0);
  expect(curl.output).toBe("one two three");
  expect(curl.types.at(0)).toBe("run.started");
  expect(curl.types.at(-1)).toBe("run.completed");
  expect(curl.types.filter((type) => type.startsWith("run."))).toHaveLength(2);
  expect(curl.events.at(-1)?.data).toMatchObject({ entry: { payload: "one two three" } });
  const head = curl.text.split("\r\n\r\n", 1)[0]?.toLowerCase() ?? "";
  expect(head).toContain("http/1.1 200 ok");
  expect(head).toContain("content-type: text/event-stream");
  expect(head).toContain(`location: /v1/runs/${live}`);
  expect(head).toContain("cache-control: no-store");
  expect(curl.text).toContain("\nretry: 1000\n");
  for (const { id, event, data } of curl.events) {
    // The live start of a step has no place of its own, and so no id.
    const isShownOnly = event === "workflow.step.started" && data.class === "delta";
    expect([isShownOnly ? "" : data.cursor, data.type]).toEqual([id, event]);
  }
});

test("a connection that breaks anywhere continues exactly with Last-Event-ID, or ?after", async () => {
  const broken = fresh("broken");
  await using whole = new Curl(`${url}/v1/runs/${broken}/events?waitForStart=true`);
  // Who comes late gets the checkpoints first, and so another order.
  await using first = new Curl(`${url}/v1/runs/${broken}/events?waitForStart=true`);
  for (const curl of [whole, first]) await expect.poll(() => curl.text).toContain("retry:");
  await start("talk", broken);
  await expect.poll(() => first.output).toBe("one ");
  await first.kill();
  const second = new Curl(
    "-H",
    `Last-Event-ID: ${first.ids.at(-1)}`,
    `${url}/v1/runs/${broken}/events`,
  );
  fixture.gates.open(`${broken}/2`);
  await expect.poll(() => second.output).toBe("two ");
  await second.kill();
  await using third = new Curl(`${url}/v1/runs/${broken}/events?after=${second.ids.at(-1)}`);
  // From here on it is a watcher: what a step has sent is not kept for long after its result.
  await expect.poll(() => third.text).toContain("retry:");
  fixture.gates.open(`${broken}/3`);
  await third.end();
  await whole.end();
  const joined = [first, second, third].flatMap(({ events }) => events);
  // Without the live start of the step, which only those see who watch at that moment.
  const idsOf = (events: readonly Sse[]) =>
    events.map(({ data }) => data.eventId).filter((id) => id !== `${broken}/speak`);
  expect(idsOf(joined)).toEqual(idsOf(whole.events));
  expect(joined.at(-1)?.event).toBe("run.completed");
});

test("a client that comes back after the last event is told that there is no more", async () => {
  const over = fresh("over");
  await start("greet", over, { name: "Ada" });
  const all = new Curl(`${url}/v1/runs/${over}/events`);
  await all.end();
  const last = new Curl("-H", `Last-Event-ID: ${all.ids.at(-1)}`, `${url}/v1/runs/${over}/events`);
  await last.end();
  expect(last.text).toContain("HTTP/1.1 204");
  const before = new Curl(`${url}/v1/runs/${over}/events?after=${all.ids.at(-2)}`);
  await before.end();
  expect(before.types).toEqual(["run.completed"]);
});

test("classes and fromNow choose; a quiet stream has a heart", async () => {
  const chosen = fresh("chosen");
  await start("talk", chosen);
  const events = `${url}/v1/runs/${chosen}/events?heartbeat=1s`;
  await using deltas = new Curl(`${events}&classes=DELTA`);
  await expect.poll(() => deltas.output).toBe("one ");
  await using checkpoints = new Curl(`${events}&classes=CHECKPOINT`);
  await using now = new Curl(`${events}&fromNow=true`);
  for (const quiet of [checkpoints, now]) {
    await expect.poll(() => quiet.text).toContain(": heartbeat");
  }
  fixture.gates.open(`${chosen}/2`);
  await expect.poll(() => now.output).toBe("two ");
  // A browser that comes back asks the same URL again, and tells its place.
  const place = ["-H", `Last-Event-ID: ${now.ids.at(-1)}`];
  await using back = new Curl(...place, `${events}&fromNow=true`);
  fixture.gates.open(`${chosen}/3`);
  await back.end();
  expect([back.output, back.types.at(-1)]).toEqual(["three", "run.completed"]);
  await Promise.all([checkpoints.end(), deltas.end(), now.end()]);
  expect(checkpoints.output).toBe("");
  expect(checkpoints.types.at(-1)).toBe("run.completed");
  expect(deltas.types).not.toContain("run.started");
  expect(now.output).toBe("two three");
  expect(now.types.at(-1)).toBe("run.completed");
});

test("the checkpoints of all runs, filtered, and on from an id", async () => {
  const [e1, e2, e3, tag] = [fresh("e"), fresh("e"), fresh("e"), fresh("tag")];
  const all = `${url}/v1/events?types=run.started,run.completed&tags=export=${tag}&heartbeat=1s`;
  await using first = new Curl(all);
  // A moment passes between its first byte and its place in the feed.
  await expect.poll(() => first.text).toContain(": heartbeat");
  await start("greet", `${e1}&tags=export=${tag}`, { name: "Ada" });
  await start("greet", `${e2}&tags=export=no`, { name: "Bob" });
  const pairs = (curl: Curl) => [...new Set(curl.events.map(({ data }) => data.eventId))];
  await expect.poll(() => pairs(first)).toEqual([`${e1}/1`, `${e1}/3`]);
  await first.kill();
  await start("greet", `${e3}&tags=export=${tag}`, { name: "Cy" });
  const id = /[\s\S]*^id: (\S+)$/m.exec(first.text.replaceAll("\r", ""))?.[1] ?? "";
  await using second = new Curl("-H", `Last-Event-ID: ${id}`, all);
  await expect.poll(() => pairs(second)).toContain(`${e3}/3`);
  expect(pairs(second).filter((one) => String(one).startsWith(e2))).toEqual([]);
});

test.each([
  ["runs/refused/events?fromNow=true&after=MS4wLjAuMGw", "from_now"],
  ["runs/refused/events?after=none", "after_cursor"],
  ["runs/refused/events?classes=ALL", "classes[0]"],
  ["events?states=DONE", "states"],
  ["events?after=none", "after_cursor"],
  ["events?status=FAILED", "status"],
  ["events?types=run.ended", "types"],
])("what cannot be streamed is refused before a stream begins: %s", async (path, field) => {
  await start("greet", "refused", { name: "Ada" }).catch(() => undefined);
  const response = await fetch(`${url}/v1/${path}`, { headers: { accept: "text/event-stream" } });
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ reason: "INVALID_ARGUMENT", metadata: { field } });
});

test("a page of events as JSON continues by its cursor", async () => {
  const paged = fresh("paged");
  await start("greet", paged, { name: "Ada" });
  await new Curl(`${url}/v1/runs/${paged}/events`).end();
  const types: string[] = [];
  for (let after = ""; ; ) {
    const response = await fetch(
      `${url}/v1/runs/${paged}/events?pageSize=2&classes=CHECKPOINT&after=${after}`,
      {
        headers: { accept: "application/json" },
      },
    );
    const page = (await response.json()) as { events: { type: string }[]; nextCursor?: string };
    types.push(...page.events.map(({ type }) => type));
    if (page.nextCursor === undefined) break;
    after = page.nextCursor;
  }
  expect(types).toEqual(["run.started", "workflow.step.completed", "run.completed"]);
});

test("a server that stops says so, and the next one continues from the same id", async () => {
  await using own = await startFixture();
  const { httpAddress, grpcAddress, store, httpUrl } = own.server;
  await fetch(`${httpUrl}/v1/workflows/wait/runs?runId=moved`, { method: "POST" });
  await using before = new Curl(`${httpUrl}/v1/runs/moved/events?classes=CHECKPOINT`);
  await expect.poll(() => before.types).toContain("workflow.waiting");
  await own.server.kill("SIGTERM");
  await before.end();
  expect(before.events.at(-1)).toMatchObject({ event: "stream.error", id: "" });
  expect(before.events.at(-1)?.data).toMatchObject({ reason: "DRAINING", status: 503 });

  await using next = await startServer({ store, http: httpAddress, grpc: grpcAddress });
  await using after = new Curl(
    ...["-H", `Last-Event-ID: ${before.ids.at(-1)}`],
    `${next.httpUrl}/v1/runs/moved/events?classes=CHECKPOINT`,
  );
  await fetch(`${next.httpUrl}/v1/runs/moved/signals/go`, { method: "POST" });
  await after.end();
  const all = (await (await fetch(`${next.httpUrl}/v1/runs/moved/journal`)).json()) as {
    entries: { type: string }[];
  };
  const seen = [...before.events, ...after.events].filter(({ id }) => id !== "");
  expect(seen.map(({ event }) => event)).toEqual(all.entries.map(({ type }) => type));
});
