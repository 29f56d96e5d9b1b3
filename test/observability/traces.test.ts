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

async function startIsRecorded(key: string): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const response = await fetch(`${server.httpUrl}/pawl.v1.RunService/GetJournal`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ runId: RUN_ID }),
    });
    if ((await response.text()).includes(`"workflow.step.started","stepKey":"${key}"`)) return;
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
  await server.stop();
});

afterAll(async () => {
  for (const child of processes) if (child.exitCode === null) child.kill("SIGKILL");
  await server?.stop();
  await collector?.close();
});

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
    const { spans } = collector;
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

  test("tells of calls of a model by the semantic conventions", () => {
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

  test("comes with the metrics of the server, by OTLP as well", () => {
    const { metrics } = collector;
    expect(metrics.get("pawl_runs_started")).toMatchObject({ kind: "sum", total: 2 });
    expect(metrics.get("pawl_run_duration")).toMatchObject({
      kind: "histogram",
      unit: "s",
      total: 2,
    });
    expect(metrics.get("pawl_store_up")).toMatchObject({ kind: "gauge", total: 1 });
    expect(metrics.get("process_resident_memory")).toMatchObject({ unit: "By" });
  });

  test("holds nothing of what users sent", () => {
    for (const marker of MARKERS) expect(collector.text).not.toContain(marker);
    expect(collector.text).not.toContain("command_args");
  });
});
