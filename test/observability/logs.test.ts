/**
 * Goal: the log can be searched by run and trace, and nothing of what users sent is ever in it.
 * Method: marked payloads through steps that fail, requests that are refused, and a database that
 * refuses rows and says which ones; the whole log of the process is read, at its finest level.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { Client, silentLogger, Worker, workflow } from "@pawl/worker";
import pg from "pg";
import { expect, test } from "vitest";
import { LOG_FIELDS } from "../../server/src/lib/log.ts";
import { createLog, type LogOptions } from "../../server/src/lib/write-log.ts";
import { createDatabase } from "../harness/database.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { MARKERS, workload } from "./workload.ts";

const SECRET = "marker-secret-7a11";
const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";

interface Line {
  time: string;
  level: string;
  event: string;
  run_id?: string;
  [field: string]: unknown;
}

function linesOf(server: TestServer): Line[] {
  return server
    .log()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

async function call(server: TestServer, method: string, body: string): Promise<number> {
  const response = await fetch(`${server.httpUrl}/pawl.v1.${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  await response.text();
  return response.status;
}

test("runs and requests that fail leave lines with ids, and without payloads", async () => {
  await using server = await startServer({ env: { PAWL_LOG: "debug" } });
  await workload(server.grpcUrl);
  const bad = [
    `{"workflow": "${SECRET}`,
    `{"workflow": ["${SECRET}"]}`,
    `{"workflow": "observed", "input": {"encoding": "json", "data": "%${SECRET}"}}`,
    `{"workflow": "observed", "input": {"encoding": "${SECRET.repeat(40)}"}}`,
    `{"workflow": "observed", "traceparent": "${SECRET.repeat(40)}"}`,
    `{"workflow": "observed", "input": {"encoding": "json", "data": "${btoa(`{${SECRET}`)}"}, "claim": true}`,
  ];
  for (const body of bad) await call(server, "RunService/StartRun", body);
  const traced = JSON.stringify({
    workflow: "observed-failing",
    runId: "with-a-trace",
    input: { encoding: "json", data: btoa(`"${SECRET}"`) },
    traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`,
  });
  expect(await call(server, "RunService/StartRun", traced)).toBe(200);
  const cancel = { runId: "with-a-trace", reason: SECRET };
  expect(await call(server, "RunService/CancelRun", JSON.stringify(cancel))).toBe(200);
  const lines = linesOf(server);
  for (const line of lines) {
    expect(new Date(line.time).getTime()).not.toBeNaN();
    expect(["debug", "info", "warn", "error"]).toContain(line.level);
    expect(line.event).toMatch(/^[a-z_]+(\.[a-z_]+)+$/);
    const { time, level, event, ...fields } = line;
    for (const field of Object.keys(fields)) expect(LOG_FIELDS).toContain(field);
  }
  const failed = lines.find((line) => line.event === "run.failed");
  expect(failed).toMatchObject({
    level: "info",
    org: "default",
    workflow: "observed-failing",
    error_type: "TerminalError",
  });
  expect(lines.find((line) => line.event === "workflow.step.retrying")).toMatchObject({
    step_key: "flaky",
    attempt: 1,
    error_type: "Error",
  });
  const ofRun = lines.filter((line) => line.run_id === "with-a-trace");
  expect(ofRun.map((line) => [line.event, line.trace_id])).toEqual([
    ["run.started", TRACE_ID],
    ["run.cancelled", TRACE_ID],
  ]);
  for (const marker of [...MARKERS, SECRET]) expect(server.log()).not.toContain(marker);
});

test("a database that refuses a row is logged without the row, nor its password", async () => {
  const url = await createDatabase("logs");
  await using server = await startServer({ store: url, env: { PAWL_LOG: "debug" } });
  const secret = workflow("secret", (ctx) => ctx.step("tell", () => SECRET));
  const client = new Client({ url: server.grpcUrl, logger: silentLogger, retryFor: "1 s" });
  const worker = new Worker({
    url: server.grpcUrl,
    workflows: [secret],
    logger: silentLogger,
    drainTimeout: "1 ms",
  });
  await worker.start();
  const database = new pg.Client(url);
  await database.connect();
  // PostgreSQL tells the whole row in the detail of its error.
  await database.query(
    "ALTER TABLE pawl.journal ADD CONSTRAINT refused CHECK (type NOT LIKE '%completed') NOT VALID",
  );
  await client.start(secret, undefined, { runId: "refused" });
  // The refusal is that of the step's result alone: it fails its run and nothing else.
  await expect(client.handle("refused", secret).result()).rejects.toThrow();
  await worker.stop();
  client.close();
  await database.end();
  const lines = linesOf(server);
  expect(lines.some((line) => line.level === "error" || line.level === "warn")).toBe(true);
  expect(server.log()).not.toContain(SECRET);
  const { password } = new URL(url);
  if (password !== "") expect(server.log()).not.toContain(password);
});

/** Takes lines as a reader that keeps up would. */
function kept(): { lines: string[]; output: Required<LogOptions>["output"] } {
  const lines: string[] = [];
  return { lines, output: { write: (line) => lines.push(line), full: () => false } };
}

test("errors of a parser are logged without what they quote", () => {
  const { lines, output } = kept();
  const log = createLog({ output });
  try {
    JSON.parse(`{"a": ${SECRET}`);
  } catch (cause) {
    log.error("test.failed", { error: new Error("Outside.", { cause }) });
  }
  expect(lines[0]).toContain("SyntaxError");
  expect(lines[0]).not.toContain("marker");
});

test("a person reads text", () => {
  const { lines, output } = kept();
  const log = createLog({ output, format: "text", now: () => 1_795_200_000_000 });
  log.info("server.ready", { grpc: "127.0.0.1:50051", name: "two words", ready_ms: 12 });
  const plain = stripVTControlCharacters(lines.join(""));
  expect(plain).toBe(
    `${new Date(1_795_200_000_000).toISOString().slice(11, 23)} INFO  server.ready  grpc=127.0.0.1:50051  name="two words"  ready_ms=12\n`,
  );
});

test("every field that a line can have is documented, and none that it cannot", async () => {
  const docs = await readFile(join(import.meta.dirname, "../../docs/observability.md"), "utf8");
  const section = docs.slice(docs.indexOf("## Logs"));
  const named = [...section.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name),
  );
  expect(named.sort()).toEqual(["level", "time", "event", ...LOG_FIELDS].sort());
});
