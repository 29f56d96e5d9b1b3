/**
 * Goal: one tree of spans per run, over client, server and workers, whatever crashes on the way.
 * Method: each of them a process of its own that exports OTLP to a real receiver; one worker is
 * killed in the middle of a step whose inner step is recorded; a child run, retries and branches.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../harness/server.ts";
import { type Collector, type ReceivedSpan, startCollector } from "./collector.ts";
import { MARKERS } from "./workload.ts";

const BY_HAND = "0af7651916cd43dd8448eb211c80319c";
const RUN_ID = `traced-${crypto.randomUUID()}`;

let collector: Collector;
let server: TestServer;
const processes: ChildProcess[] = [];

function otel(service: string): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_SERVICE_NAME: service,
    OTEL_BSP_SCHEDULE_DELAY: "20",
  };
}

function launch(service: string, file: string, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    env: { ...process.env, ...otel(service) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  processes.push(child);
  return child;
}

async function said(child: ChildProcess, word: string): Promise<void> {
  if (child.stdout === null) throw new Error("The process has no output.");
  for await (const line of createInterface({ input: child.stdout })) if (line === word) return;
  throw new Error(`The process ended before it said "${word}".`);
}

async function call(method: string, request: object): Promise<string> {
  const response = await fetch(`${server.httpUrl}/pawl.v1.${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  return response.text();
}

/** A worker without an SDK, in the words of curl. */
async function runByHand(runId: string): Promise<void> {
  const traceparent = `00-${BY_HAND}-b7ad6b7169203331-01`;
  const start = { workflow: "by-hand", runId, claim: true, traceparent };
  const started = JSON.parse(await call("RunService/StartRun", start)) as {
    claimed: { lease: { fence: number } };
  };
  const { fence } = started.claimed.lease;
  const output = { encoding: "json", data: btoa("1") };
  expect(await call("WorkerService/CompleteRun", { runId, fence, output })).not.toContain("code");
  // Sent again, as after a lost reply.
  await call("WorkerService/CompleteRun", { runId, fence, output });
}

async function startIsRecorded(key: string): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const journal = await call("RunService/GetJournal", { runId: RUN_ID });
    if (journal.includes(`"workflow.step.started","stepKey":"${key}"`)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`The start of ${key} was not recorded.`);
}

beforeAll(async () => {
  collector = await startCollector();
  server = await startServer({ env: otel("server") });
  const first = launch("worker", "traced-worker.ts", server.grpcUrl, "block");
  await said(first, "ready");
  const client = launch("client", "traced-client.ts", server.grpcUrl, RUN_ID);
  const clientEnds = once(client, "exit");
  await said(first, "blocked");
  await Promise.all([collector.named("step inner"), startIsRecorded("outer")]);
  first.kill("SIGKILL");
  const second = launch("worker", "traced-worker.ts", server.grpcUrl);
  expect(await clientEnds).toEqual([0, null]);
  second.kill("SIGTERM");
  await once(second, "exit");
  await runByHand("by-hand");
  await server.stop();
});

afterAll(async () => {
  for (const child of processes) if (child.exitCode === null) child.kill("SIGKILL");
  await server?.stop();
  await collector?.close();
});

function base64(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}

function all(name: string): ReceivedSpan[] {
  return collector.spans.filter((span) => span.name === name);
}

function only(name: string): ReceivedSpan {
  const [span, ...more] = all(name);
  if (span === undefined || more.length > 0) throw new Error(`${name}: ${more.length + 1} spans`);
  return span;
}

describe("a run's trace", () => {
  test("is one tree, rooted in the client's call, over three processes", () => {
    const spans = collector.spans.filter((span) => span.traceId !== base64(BY_HAND));
    expect(new Set(spans.map((span) => span.traceId)).size).toBe(1);
    const ids = new Set(spans.map((span) => span.spanId));
    expect(ids.size).toBe(spans.length);
    const roots = spans.filter((span) => span.parentId === "");
    expect(roots.map(({ name, service }) => [name, service])).toEqual([["start traced", "client"]]);
    const orphans = spans.filter((span) => span.parentId !== "" && !ids.has(span.parentId));
    expect(orphans.map((span) => span.name)).toEqual([]);
    expect(new Set(spans.map((span) => span.service))).toEqual(
      new Set(["client", "server", "worker"]),
    );
    for (const span of spans) expect(span.endNs >= span.startNs, span.name).toBe(true);
  });

  test("goes from the client through the server to run and steps", () => {
    const started = all("pawl.v1.RunService/StartRun");
    const run = only("run traced");
    const request = started.find((span) => span.spanId === run.parentId);
    expect(request?.service).toBe("server");
    expect(request?.parentId).toBe(only("start traced").spanId);
    expect(run.attributes).toMatchObject({
      "pawl.run.id": RUN_ID,
      "pawl.run.outcome": "completed",
    });
    for (const name of ["step first", "step left", "step right"]) {
      expect(only(name).parentId, name).toBe(run.spanId);
      expect(only(name).failed).toBe(false);
    }
    expect(all("dispatch traced").length).toBeGreaterThanOrEqual(3);
    expect(only("sleep nap").service).toBe("server");
  });

  test("has one span for each attempt, and none for replays", () => {
    const [lost, again, ...more] = all("step outer").sort((a, b) =>
      a.startNs < b.startNs ? -1 : 1,
    );
    expect(more).toEqual([]);
    expect(lost?.attributes).toMatchObject({
      "pawl.step.attempt": 1,
      "pawl.step.outcome": "lost",
    });
    expect(lost?.failed).toBe(true);
    expect(again?.attributes).toMatchObject({
      "pawl.step.attempt": 2,
      "pawl.step.outcome": "completed",
      "pawl.step.recovery": true,
    });
    expect(again?.links).toEqual([lost?.spanId]);
    // Recorded in the life of the first worker, and replayed by the second.
    expect(only("step inner").parentId).toBe(lost?.spanId);
    const [failed, retried, ...others] = all("step flaky").sort((a, b) =>
      a.startNs < b.startNs ? -1 : 1,
    );
    expect(others).toEqual([]);
    expect(failed?.attributes).toMatchObject({
      "pawl.step.outcome": "retrying",
      "error.type": "Error",
    });
    expect(retried?.attributes).toMatchObject({ "pawl.step.attempt": 2, "pawl.step.retry": true });
    expect(retried?.links).toEqual([failed?.spanId]);
  });

  test("has the child run below its parent, and the user's own spans below their step", () => {
    const child = only("run traced-child");
    const request = collector.spans.find((span) => span.spanId === child.parentId);
    expect(request?.name).toBe("pawl.v1.RunService/StartRun");
    expect(request?.parentId).toBe(only("run traced").spanId);
    expect(only("own work").parentId).toBe(only("step inner").spanId);
  });

  test("reports calls of a model by the semantic conventions", () => {
    const answer = only("step answer");
    expect(answer.parentId).toBe(only("run traced-child").spanId);
    expect(answer.attributes).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "gpt-x",
      "gen_ai.usage.input_tokens": 20,
      "gen_ai.usage.output_tokens": 4,
      "gen_ai.response.finish_reasons": ["stop"],
    });
  });

  test("is told by the server where the worker has no tracing", () => {
    const spans = collector.spans.filter((span) => span.traceId === base64(BY_HAND));
    expect(spans.map((span) => span.name).sort()).toEqual([
      "pawl.v1.RunService/StartRun",
      "run by-hand",
    ]);
    const run = spans.find((span) => span.name === "run by-hand");
    const request = spans.find((span) => span !== run);
    expect(run?.parentId).toBe(request?.spanId);
    expect(request?.parentId).toBe(base64("b7ad6b7169203331"));
    expect(run?.attributes["pawl.run.outcome"]).toBe("completed");
  });

  test("comes with the metrics of the server, by OTLP as well", () => {
    const { metrics } = collector;
    expect(metrics.get("pawl_runs_started")).toMatchObject({ kind: "sum", total: 3 });
    expect(metrics.get("pawl_run_duration")).toMatchObject({
      kind: "histogram",
      unit: "s",
      total: 3,
    });
    expect(metrics.get("pawl_store_up")).toMatchObject({ kind: "gauge", total: 1 });
    expect(metrics.get("process_resident_memory")).toMatchObject({ unit: "By" });
  });

  test("holds nothing of what users sent", () => {
    for (const marker of MARKERS) expect(collector.text).not.toContain(marker);
    expect(collector.text).not.toContain("command_args");
  });
});
