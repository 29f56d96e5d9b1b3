/**
 * Goal: the spans of unusual ends. Method: a program with an OpenTelemetry of its own, a real server,
 * and the spans as their processor gets them. test/observability has the tree over processes.
 */
import { context, type Span, trace } from "@opentelemetry/api";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  Client,
  silentLogger,
  spanIdGenerator,
  TerminalError,
  Worker,
  workflow,
} from "../src/index.ts";
import { TestServer } from "./support/test-server.ts";

interface Ended {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly parentSpanContext?: { readonly spanId: string };
  readonly links: readonly unknown[];
  spanContext(): { readonly spanId: string; readonly traceId: string };
}

const ended: Ended[] = [];
const sdk = new NodeSDK({
  idGenerator: spanIdGenerator,
  autoDetectResources: false,
  metricReaders: [],
  logRecordProcessors: [],
  spanProcessors: [
    {
      onStart: () => undefined,
      onEnd: (span: Ended) => void ended.push(span),
      forceFlush: async () => undefined,
      shutdown: async () => undefined,
    },
  ],
});

let server: TestServer;
let client: Client;
let worker: Worker;

let broken = true;
const mending = workflow("mending", async (ctx) => {
  await ctx.step("good", () => 1);
  await ctx.step("bad", () => {
    if (broken) throw new TerminalError("on purpose");
  });
});

const racing = workflow("racing", (ctx) =>
  ctx.race([
    (branch) => branch.step("quick", () => new Promise((resolve) => setTimeout(resolve, 30))),
    (branch) => branch.step("slow", () => new Promise((resolve) => setTimeout(resolve, 5_000))),
  ]),
);

const leaving = workflow("leaving", async (ctx) => {
  void ctx.step("left behind", () => new Promise((resolve) => setTimeout(resolve, 5_000)));
  await ctx.step("last", () => new Promise((resolve) => setTimeout(resolve, 5)));
});

const scripted = workflow("scripted", (ctx) => ctx.step("only", () => 1));

beforeAll(async () => {
  sdk.start();
  server = await TestServer.start();
  client = new Client({ url: server.grpcUrl, logger: silentLogger });
  worker = new Worker({
    url: server.grpcUrl,
    workflows: [mending, racing, leaving],
    logger: silentLogger,
  });
  await worker.start();
});

afterAll(async () => {
  await worker.stop();
  client.close();
  await server.stop();
  await sdk.shutdown();
});

beforeEach(() => {
  ended.length = 0;
});

function named(name: string): Ended[] {
  return ended.filter((span) => span.name === name);
}

function idOf(span: Ended | undefined): string {
  return span?.spanContext().spanId ?? "";
}

/** Spans end once their outcome is acknowledged, which the client may know before the worker. */
async function came(name: string, count: number): Promise<Ended[]> {
  await expect.poll(() => named(name).length).toBe(count);
  return named(name);
}

test("a run that is retried has a span for each try, and none for what it replays", async () => {
  const handle = await client.start(mending, undefined);
  await handle.result().catch(() => undefined);
  const [failed] = await came("run mending", 1);
  broken = false;
  await handle.retry();
  await handle.result();
  const [, mended] = await came("run mending", 2);
  expect(failed?.attributes["pawl.run.outcome"]).toBe("failed");
  expect(mended?.attributes).toMatchObject({
    "pawl.run.outcome": "completed",
    "pawl.run.retries": 1,
  });
  expect(idOf(mended)).not.toBe(idOf(failed));
  expect(mended?.parentSpanContext?.spanId).toBe(failed?.parentSpanContext?.spanId);
  expect(named("step good")).toHaveLength(1);
  const bad = named("step bad");
  expect(bad.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
    idOf(failed),
    idOf(mended),
  ]);
  expect(new Set(ended.map(idOf)).size).toBe(ended.length);
});

test("the loser of a race is told as such", async () => {
  await client.run(racing, undefined);
  const [run] = await came("run racing", 1);
  expect(run?.attributes["pawl.run.outcome"]).toBe("completed");
  const outcomes = ["quick", "slow"].map(
    (name) => named(`step ${name}`)[0]?.attributes["pawl.step.outcome"],
  );
  expect(outcomes[0]).toBe("completed");
  expect(["cancelled", "abandoned"]).toContain(outcomes[1]);
});

test("a step that the code did not await ends before its run does", async () => {
  await client.run(leaving, undefined);
  const [left] = await came("step left behind", 1);
  expect(left?.attributes["pawl.step.outcome"]).toBe("completed");
});

test("a program that executes its own run has one tree below its own span", async () => {
  const own: Span = trace.getTracer("program").startSpan("own");
  await context.with(trace.setSpan(context.active(), own), () =>
    client.execute(scripted, undefined),
  );
  own.end();
  const [start] = named("start scripted");
  const [run] = named("run scripted");
  expect(start?.parentSpanContext?.spanId).toBe(own.spanContext().spanId);
  // The server of this test sends no spans.
  expect(run?.parentSpanContext?.spanId).toBe(idOf(start));
  expect(named("step only")[0]?.parentSpanContext?.spanId).toBe(idOf(run));
});
