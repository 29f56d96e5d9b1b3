/**
 * Goal: what makes no sense is refused where it is given, with what to write instead, and a server
 * that cannot be reached is told from one that was called at the wrong port.
 * Method: a table of wrong options, and small servers that are none of Pawl's.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import {
  Client,
  type Context,
  constant,
  duration,
  type StartOptions,
  step,
  UsageError,
  Worker,
  workflow,
} from "../src/index.ts";
import { run, thrown } from "./support/local.ts";

const other = workflow("other", async () => 1);
const aStep = step("charge", () => 1);
const client = new Client({ url: "http://127.0.0.1:1", retryFor: 0 });
afterAll(() => client.close());

/** What a caller without types may pass. */
function wrong<T>(value: unknown): T {
  return value as T;
}

const forEver = [Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NaN, wrong<number>(null)];

async function expectRefusal(work: () => unknown, message: RegExp): Promise<void> {
  const error = await thrown(async () => work());
  expect(error).toBeInstanceOf(UsageError);
  expect(error.message).toMatch(message);
}

describe("a duration", () => {
  const places: Readonly<Record<string, (ctx: Context, ms: number) => unknown>> = {
    sleep: (ctx, ms) => ctx.sleep(ms),
    "timeout of a signal": (ctx, ms) => ctx.signal("go", { timeout: ms }),
    "timeout of a question": (ctx, ms) => ctx.waitForUser("Go?", { timeout: ms }),
    "timeout of a callback": (ctx, ms) => ctx.callback("c", { timeout: ms }),
    reminder: (ctx, ms) => ctx.waitForUser("Go?", { reminders: [ms] }),
    "timeout of a step": (ctx, ms) => ctx.step("s", () => 1, { timeout: ms }),
    maxElapsed: (ctx, ms) => ctx.step("s", () => 1, { retry: { maxElapsed: ms } }),
    delays: (ctx, ms) => ctx.step("s", () => 1, { retry: { backoff: [ms] } }),
    backoff: (ctx, ms) => ctx.step("s", () => 1, { retry: { backoff: () => ms } }),
    constant: () => constant(1e30),
  };
  test.each(Object.entries(places))("%s has bounds", async (_name, place) => {
    for (const ms of forEver)
      await expectRefusal(() => run(async (ctx) => place(ctx, ms)), /duration|part of a/);
  });

  test("that is over is none to wait for, and one of an attempt is refused", async () => {
    await run((ctx) => ctx.sleep(-1_000));
    expect(await run((ctx) => ctx.signal("go", { timeout: -1, default: "late" }))).toBe("late");
    await expectRefusal(() => run((ctx) => ctx.step("s", () => 1, { timeout: -1 })), /-1 ms/);
    await expectRefusal(() => run((ctx) => ctx.sleep(wrong(undefined))), /undefined is not/);
    expect(duration("1h 30m")).toBe(5_400_000);
    expect(() => duration("soon")).toThrow(UsageError);
  });

  test("a moment may have fractions, be over, and has an end", async () => {
    for (const moment of [Date.now() + 100 / 3, 0, -1e20, new Date(5)])
      await run((ctx) => ctx.sleepUntil(moment));
    for (const moment of [8e15, Number.NaN, new Date(Number.NaN), wrong<number>("tomorrow")])
      await expectRefusal(() => run((ctx) => ctx.sleepUntil(moment)), /not a moment/);
  });
});

test("whole numbers have bounds", async () => {
  for (const n of [-1, 1.5, Number.NaN, 2 ** 40, wrong<number>("high")]) {
    await expectRefusal(
      () => run(async (ctx) => ctx.emit("e", 1, { contentIndex: n })),
      /contentIndex must be a whole number/,
    );
    await expectRefusal(
      () => run((ctx) => ctx.child(other, undefined, { priority: n })),
      /priority must be a whole number from 0 to 9/,
    );
    await expectRefusal(
      () => client.start(other, undefined, { priority: n }),
      /priority must be a whole number/,
    );
    await expectRefusal(
      () => run((ctx) => ctx.map("m", [1], { concurrency: n }, () => 1)),
      /concurrency .*whole number/,
    );
    await expectRefusal(
      () => workflow("w", { concurrency: n }, async () => 1),
      /concurrency must be a whole number/,
    );
    await expectRefusal(
      () => run((ctx) => ctx.step("s", () => 1, { retry: { maxAttempts: n } })),
      /maxAttempts.* must be a whole number/,
    );
    await expectRefusal(() => new Worker({ workflows: [other], slots: n }), /slots must be/);
  }
});

test("texts that name something are refused with half of a pair or a NUL in them", async () => {
  const options: Readonly<Record<string, StartOptions>> = {
    "run id": { runId: "a\ud83d" },
    idempotencyKey: { idempotencyKey: "a\0" },
    "name of a tag": { tags: { "a\ud83d": "b" } },
    'tag "a"': { tags: { a: "\ud83d" } },
    fairnessKey: { fairnessKey: "a\0{b}" },
    "key of concurrency": { concurrency: { limit: 1, key: "\ud83d" } },
    "key of debounce": { debounce: { key: "\0", period: 5 } },
  };
  for (const [name, bad] of Object.entries(options))
    await expectRefusal(
      () => client.start(other, undefined, bad),
      new RegExp(`${name} has (half|a NUL)`),
    );
  await expectRefusal(() => client.handle("r").signal("a\0"), /name of a signal has a NUL/);
  await expectRefusal(() => client.handle("r").updateTags({ set: { "\ud83d": "" } }), /tag/);
  for (const runId of [".", ".."])
    await expectRefusal(() => client.start(other, undefined, { runId }), /cannot be a run id/);
  await expectRefusal(
    () => workflow("w", { rateLimit: { limit: 1, period: 5, key: "{a" } }, async () => 1),
    /brace without its other half/,
  );
});

test("what is not a workflow, or no schema, is said", async () => {
  await expectRefusal(() => client.start(wrong("" as string | undefined) ?? ""), /not empty/);
  await expectRefusal(() => client.start(wrong<string>(undefined)), /does the import exist/);
  await expectRefusal(() => client.start(wrong<string>(aStep)), /"charge" is a step/);
  const jsonSchema = wrong<z.ZodType>({ type: "object" });
  await expectRefusal(
    () => workflow("w", { input: jsonSchema }, async () => 1),
    /goes into `inputSchema`/,
  );
  await expectRefusal(() => step("s", { output: jsonSchema }, () => 1), /Standard Schema/);
});

test("lists that cannot be are INVALID_ARGUMENT", async () => {
  for (const work of [
    () => client.list({ pageSize: -1 }),
    () => client.list({ statuses: wrong(["NOPE"]) }),
    () => client.waits({ pageSize: 1.5 }),
    () => client.waits({ kinds: wrong(["nope"]) }),
  ])
    await expect(work()).rejects.toMatchObject({ reason: "INVALID_ARGUMENT", code: 3 });
});

describe("a server", () => {
  test("that is not there is said to be started", async () => {
    await expect(client.list()).rejects.toMatchObject({
      reason: "UNAVAILABLE",
      message:
        /^UNAVAILABLE: no Pawl server answers at http:\/\/127.0.0.1:1; start one with `pawl dev`, or set PAWL_URL \(connect ECONNREFUSED/,
    });
  });

  test("that speaks HTTP only was called at the wrong port", async () => {
    const web = createServer((_request, response) => response.end("hello"));
    await once(web.listen(0, "127.0.0.1"), "listening");
    const { port } = web.address() as AddressInfo;
    const lost = new Client({ url: `http://127.0.0.1:${port}`, retryFor: 0 });
    await expect(lost.list()).rejects.toThrow(
      /does not speak gRPC; give .* in PAWL_URL, or .* in PAWL_GRPC_URL/,
    );
    lost.close();
    web.close();
  });

  test("that ends the connection is asked again", async () => {
    let asked = 0;
    const server = createHttp2Server();
    server.on("stream", (stream) => {
      asked += 1;
      stream.on("error", () => undefined);
      if (asked < 3) {
        stream.session?.destroy(undefined, 2);
        return;
      }
      stream.respond(
        { ":status": 200, "content-type": "application/grpc" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.alloc(5));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const patient = new Client({ url: `http://127.0.0.1:${port}` });
    expect(await patient.list()).toEqual({ runs: [], nextPageToken: "" });
    expect(asked).toBe(3);
    patient.close();
    server.close();
  });
});
