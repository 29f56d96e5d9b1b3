/**
 * Goal: what steps written with the SDK send is under the right parent and stream, also when they
 * run at once, and a watch is something that a web server can hand on.
 * Method: a worker and a client of this process, a real server.
 */
import { Client, type EventView, silentLogger, toResponse, Worker, workflow } from "@pawl/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../harness/server.ts";

async function* words(...list: string[]) {
  for (const word of list) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    yield word;
  }
}

const tree = workflow("tree", async (ctx) => {
  const agent = (name: string) =>
    ctx.step(name, (outer) =>
      outer.span(
        "agent",
        async () => {
          outer.emit("thought", name);
          const inner = (part: string) =>
            outer.step(part, async (s) => {
              s.emit("note", `${name}.${part}`);
              return part;
            });
          await Promise.all([inner("x"), inner("y")]);
          return name;
        },
        { name },
      ),
    );
  await Promise.all([agent("one"), agent("two")]);
  return await ctx.step("both", async (s) => {
    const [a, b] = await Promise.all([s.stream(words("a", "b")), s.stream(words("c", "d"))]);
    s.log("info", "kept");
    return `${a} ${b}`;
  });
});

/** Says something before a step, between two, and before a wait that gives the run back. */
const talk = workflow("talk", async (ctx) => {
  ctx.log("info", "before a");
  await ctx.step("a", async () => 1);
  ctx.log("info", "before b");
  await ctx.step("b", async () => 2);
  ctx.log("info", "before the wait");
  await ctx.signal("go");
  ctx.log("info", "before the end");
});

let server: TestServer;
let worker: Worker;
let client: Client;
beforeAll(async () => {
  server = await startServer();
  worker = new Worker({ url: server.grpcUrl, workflows: [tree], logger: silentLogger });
  await worker.start();
  client = new Client({ url: server.grpcUrl });
});
afterAll(async () => {
  client.close();
  await worker.stop();
  await server.stop();
});

test("parents follow the code and streams their index; a watch is a response of server-sent events", async () => {
  const run = await client.start(tree, undefined, { runId: "tree", delay: "300 ms" });
  const events: EventView[] = [];
  for await (const event of run.watch()) events.push(event);
  const of = (type: string) => events.filter((event) => event.type === type);
  for (const name of ["one", "two"]) {
    const span = of("agent.started").find(({ stepKey }) => stepKey === name);
    expect(span).toMatchObject({ payload: { name }, parentEventId: `tree/${name}` });
    const inSpan = ["thought", "agent.completed"].map((type) =>
      of(type).find(({ stepKey }) => stepKey === name),
    );
    for (const event of inSpan) expect(event?.parentEventId).toBe(span?.eventId);
    for (const part of ["x", "y"]) {
      const note = of("note").find(({ payload: data }) => data === `${name}.${part}`);
      expect(note).toMatchObject({ stepKey: `${name}/${part}` });
      expect(note?.parentEventId).toBe(`tree/${name}/${part}`);
    }
  }
  const texts = (index: number) =>
    of("output.delta")
      .filter(({ contentIndex }) => contentIndex === index)
      .map(({ payload }) => payload);
  expect([texts(1), texts(2)]).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
  expect(await run.result()).toBe("ab cd");
  const completed = of("workflow.step.completed").map(({ stepKey, parentEventId }) => [
    stepKey,
    parentEventId,
  ]);
  expect(completed).toContainEqual(["one/x", "tree/one"]);
  expect(completed).toContainEqual(["both", "tree"]);

  const response = toResponse(run.watch());
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const text = await response.text();
  const types = [...text.matchAll(/^event: (.*)$/gm)].map(([, type]) => type);
  // A late watcher: what is kept for good is there, what was superseded is not.
  expect(types).toContain("log");
  expect(types).not.toContain("output.delta");
  expect([types[0], types.at(-1)]).toEqual(["run.started", "run.completed"]);
  const [id = ""] = text.match(/(?<=^id: ).*/m) ?? [];
  const rest: string[] = [];
  for await (const { type } of run.watch({ afterCursor: id })) rest.push(type);
  expect(rest).toEqual(types.slice(1));
});

test.each(["stream", "poll"] as const)(
  "what is said is in the order of the code: %s",
  async (mode) => {
    const queue = `talk-${mode}`;
    const options = { url: server.grpcUrl, workflows: [talk], queues: [queue], mode };
    const own = new Worker({ ...options, logger: silentLogger });
    await own.start();
    try {
      const run = await client.start(talk, undefined, { runId: queue, queue });
      await expect.poll(async () => (await run.get()).status).toBe("waiting");
      await run.signal("go");
      await run.result();
      const said: unknown[] = [];
      for await (const { type, stepKey, payload: data } of run.watch()) {
        if (type === "log") said.push(data);
        else if (type === "workflow.step.completed") said.push(stepKey);
        else if (type === "workflow.waiting") said.push("waits");
      }
      expect(said).toMatchObject([
        { message: "before a" },
        "a",
        { message: "before b" },
        "b",
        { message: "before the wait" },
        "waits",
        { message: "before the end" },
      ]);
    } finally {
      await own.stop();
    }
  },
);
