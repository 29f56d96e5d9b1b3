/**
 * Goal: `pawl watch`, `pawl events` and `pawl logs` show a run while it happens and afterwards, and
 * are not put off by a server that comes and goes.
 * Method: the command as a process, a worker whose steps continue when the test lets them, SIGKILL.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { silentLogger, Worker, workflow } from "@pawl/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serverMain, startServer, type TestServer, withoutPawl } from "../harness/server.ts";
import { type CliResult, pawl } from "./cli.ts";

let server: TestServer;
let worker: Worker;
const gates = new Map<string, PromiseWithResolvers<void>>();

function gate(name: string): PromiseWithResolvers<void> {
  const found = gates.get(name) ?? Promise.withResolvers<void>();
  gates.set(name, found);
  return found;
}

const story = workflow("story", async (ctx) => {
  ctx.log("info", "it begins", { chapter: 1 });
  const text = await ctx.step("write", async function* () {
    yield "Once ";
    ctx.progress(1, 2, "halfway");
    await gate(`${ctx.runId}/write`).promise;
    yield "upon a time";
  });
  await ctx.signal("publish");
  ctx.log("debug", "too much to tell");
  return text;
});

const sad = workflow("sad", (ctx) =>
  ctx.step("try", () => {
    throw new Error("no way");
  }),
);

beforeAll(async () => {
  server = await startServer();
  const workflows = [story, sad];
  worker = new Worker({ url: server.grpcUrl, workflows, logger: silentLogger });
  await worker.start();
});

afterAll(async () => {
  await worker?.stop();
  await server?.stop();
});

const cli = (...args: string[]): Promise<CliResult> => pawl(args, { url: server.httpUrl });

/** A command that continues: what it has said so far, and its end. */
class Running {
  out = "";
  err = "";
  readonly #child;
  readonly #closed;

  constructor(...args: string[]) {
    const env = { ...withoutPawl(process.env), PAWL_HTTP_URL: server.httpUrl };
    this.#child = spawn(process.execPath, [serverMain, ...args], { env });
    this.#closed = once(this.#child, "close");
    this.#child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      this.out += piece;
    });
    this.#child.stderr.setEncoding("utf8").on("data", (piece: string) => {
      this.err += piece;
    });
  }

  async end(): Promise<number> {
    await this.#closed;
    return this.#child.exitCode ?? -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }
}

test("watch shows steps and their text while they run, and the result", async () => {
  await using watching = new Running("watch", "w1", "--wait-for-start");
  await cli("run", "story", "--id", "w1");
  await expect.poll(() => watching.out).toContain('"Once "');
  expect(watching.out).toMatch(/progress~.*\{"done":1,"total":2,"note":"halfway"\}/);
  expect(watching.out).toMatch(/INFO\s+log~\s+it begins\s+\{"chapter":1\}/);
  expect(watching.out).not.toContain("upon a time");
  gate("w1/write").resolve();
  await expect.poll(() => watching.out).toMatch(/step\.completed\s+write.*"Once upon a time"/);
  await cli("signal", "w1", "publish");
  expect(await watching.end()).toBe(0);
  expect(watching.out.trimEnd()).toMatch(/run\.completed.*\n"Once upon a time"$/);
  expect(watching.err).toContain("COMPLETED");
});

test("watch outlives a server that is killed, and misses nothing", async () => {
  await cli("run", "story", "--id", "w2");
  await using watching = new Running("watch", "w2", "--json");
  gate("w2/write").resolve();
  await expect.poll(() => watching.out).toContain('"workflow.waiting"');
  const { store, httpAddress, grpcAddress } = server;
  await server.kill();
  await expect.poll(() => watching.err).toContain("trying again");
  server = await startServer({ store, http: httpAddress, grpc: grpcAddress });
  await cli("signal", "w2", "publish");
  expect(await watching.end()).toBe(0);
  expect(watching.err).toContain("Reconnected.");
  const events = watching.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { class: string; entry?: { seq: number } });
  const seqs = events.flatMap(({ entry }) => entry?.seq ?? []);
  expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  expect(events.at(-1)).toMatchObject({ type: "run.completed" });
});

test("watch tells a failed run by its exit code, and what is not there", async () => {
  await cli("run", "sad", "--id", "w3", "--wait");
  const before = performance.now();
  await cli("status", "w3");
  const between = performance.now();
  const failed = await cli("watch", "w3");
  // Its connection once kept it alive for the six seconds that the server keeps idle ones.
  expect(performance.now() - between).toBeLessThan(between - before + 4_000);
  expect(failed.code).toBe(1);
  expect(failed.out).toMatch(/ERROR\s+step\.failed\s+try.*Error: no way/);
  expect(failed.err).toMatch(/FAILED.*no way/);
  expect(await cli("watch", "nope")).toMatchObject({ code: 4 });
});

test("events prints the stream, as lines or as objects, and continues after a cursor", async () => {
  const lines = await cli("events", "w3");
  expect(lines.out).toMatch(/run\.started[\s\S]*step\.failed[\s\S]*run\.failed/);
  const json = await cli("events", "w3", "--json");
  const events = json.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string; cursor: string });
  expect(events.map(({ type }) => type)).toEqual([
    "run.started",
    "workflow.step.failed",
    "run.failed",
  ]);
  const rest = await cli("events", "w3", "--json", "--follow", "--after", events[0]?.cursor ?? "");
  expect(rest.out.trim().split("\n")).toHaveLength(2);
});

test("logs prints what went wrong, and while the run continues what it logs", async () => {
  expect((await cli("logs", "w3")).out.trim().split("\n")).toEqual([
    expect.stringMatching(/ERROR\s+step\.failed.*no way/),
    expect.stringMatching(/ERROR\s+run\.failed.*no way/),
  ]);
  expect((await cli("logs", "w3", "-n", "1")).out).toMatch(/^\S+\s+ERROR\s+run\.failed/);
  await cli("run", "story", "--id", "w4");
  await using following = new Running("logs", "w4", "--follow");
  await expect.poll(() => following.out).toContain("it begins");
  gate("w4/write").resolve();
  await cli("signal", "w4", "publish");
  expect(await following.end()).toBe(0);
  expect(following.out).not.toContain("too much");
  expect(following.out).not.toContain("Once");
  const after = (await cli("logs", "w4", "-l", "debug")).out.trim().split("\n");
  expect(after).toEqual([
    expect.stringMatching(/INFO\s+log~\s+it begins/),
    expect.stringMatching(/DEBUG\s+log~\s+too much to tell$/),
  ]);
});
