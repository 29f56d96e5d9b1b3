/**
 * Goal: every route of the REST surface does what /openapi.json says, its refusals included.
 * Method: a client that is made of the document alone calls every operation on a real server and
 * validates each answer; the document itself is held against the OpenAPI 3.1 standard.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { statusOf } from "../../server/src/http/problem.ts";
import { REASONS, type Reason } from "../../server/src/model/errors.ts";
import { postJson } from "../rpc/clients.ts";
import { type Answer, Api } from "./api.ts";
import { type Fixture, startFixture } from "./fixture.ts";

let fixture: Fixture;
let api: Api;

beforeAll(async () => {
  fixture = await startFixture();
  api = await Api.load(fixture.server.httpUrl);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

const path = (runId: string) => ({ path: { runId } });

async function start(workflow: string, body: unknown, query: Record<string, string>) {
  return await api.call("startRun", { path: { workflow }, query, body });
}

function refused(answer: Answer): unknown[] {
  return [answer.status, answer.body.reason, answer.body.metadata];
}

test("the document is valid OpenAPI 3.1, and says something about everything", async () => {
  const result = await new Validator().validate({ ...structuredClone(api.document) });
  expect(result.errors).toBeUndefined();
  expect(result.valid).toBe(true);
  expect(api.document.openapi).toMatch(/^3\.1\./);
  const ids = api.operations().map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { operation } of api.operations()) {
    const { operationId, parameters = [], summary } = operation;
    expect(summary, operationId).not.toBe("");
    for (const { name, description } of parameters) {
      expect(description, `${operationId} ${name}`).not.toBe("");
    }
  }
});

describe("runs", () => {
  test("a start answers 201, the same again 200, other content 409", async () => {
    const first = await start("greet", { name: "Ada" }, { runId: "a/b %", tags: "team=docs" });
    expect(refused(first)).toEqual([400, "INVALID_ARGUMENT", { field: "run_id" }]);
    const made = await start("greet", { name: "Ada" }, { runId: "a/b%", tags: "team=docs" });
    expect(made.status).toBe(201);
    expect(made.headers.get("location")).toBe("/v1/runs/a%2Fb%25");
    expect(made.body).toMatchObject({ runId: "a/b%", tags: { team: "docs" }, existing: false });
    const again = await start("greet", { name: "Ada" }, { runId: "a/b%", wait: "30s" });
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({
      status: "completed",
      existing: true,
      output: { greeting: "Hello, Ada!" },
    });
    const other = await start("greet", { name: "Bob" }, { runId: "a/b%" });
    expect([other.status, other.body.reason]).toEqual([409, "RUN_EXISTS"]);
    const got = await fetch(`${api.url}/v1/runs/a%2Fb%25`);
    expect(await got.json()).toMatchObject({ runId: "a/b%", input: { name: "Ada" } });
  });

  test("an idempotency key names the run; a delay and a wait that ends too soon", async () => {
    const headers = { "idempotency-key": "order 7" };
    const sent = { path: { workflow: "greet" }, body: { name: "K" }, headers };
    const made = await api.call("startRun", sent);
    const again = await api.call("startRun", sent);
    expect([made.status, again.status]).toEqual([201, 200]);
    expect(again.body.runId).toBe(made.body.runId);
    const other = await api.call("startRun", { ...sent, body: { name: "L" } });
    expect([other.status, other.body.reason]).toEqual([409, "IDEMPOTENCY_CONFLICT"]);
    const late = await start("greet", { name: "M" }, { delay: "1h", wait: "10ms" });
    expect(late.status).toBe(202);
    expect(late.body).toMatchObject({ status: "queued", statusReason: "delayed" });
  });

  test("the input arrives byte for byte: numbers beyond doubles, raw bytes, nothing", async () => {
    const digits = '{"n": 12345678901234567890}';
    const json = { "content-type": "application/json; charset=utf-8" };
    await api.call("startRun", {
      path: { workflow: "wait" },
      query: { runId: "digits" },
      body: digits,
      headers: json,
    });
    const { body } = await postJson(api.url, "RunService/GetRun", { runId: "digits" });
    const { run } = body as { run: { input: { data: string } } };
    expect(Buffer.from(run.input.data, "base64").toString()).toBe(digits);
    const bytes = { "content-type": "application/octet-stream" };
    await api.call("startRun", {
      path: { workflow: "wait" },
      query: { runId: "bytes" },
      body: new Uint8Array([255, 0]),
      headers: bytes,
    });
    const raw = await api.call("getRun", path("bytes"));
    expect(raw.body).toMatchObject({ input: "/wA=", inputEncoding: "bytes" });
    await start("wait", undefined, { runId: "nothing" });
    const none = await api.call("getRun", path("nothing"));
    expect(none.body).toMatchObject({ input: null, inputEncoding: "void" });
  });

  test("limits, time limits and debouncing are parameters with dots", async () => {
    const once = { "flow.rate.limit": "1", "flow.rate.period": "1h", "flow.rate.key": "{name}" };
    const limits = { ...once, "flow.concurrency.limit": "3", "flow.fairnessKey": "{name}" };
    const times = { "timeouts.run": "1h", "timeouts.queue": "30m" };
    const states = [];
    // The second is held back, and not waited for.
    for (const name of ["Ada", "Ada", "Bob"]) {
      const { body } = await start(
        "greet",
        { name },
        { ...limits, ...times, wait: states.length === 1 ? "50ms" : "30s" },
      );
      expect(body.timeouts).toEqual({ run: "3600s", queue: "1800s" });
      states.push(body.statusReason ?? body.status);
    }
    expect(states).toEqual(["completed", "rate_limit", "completed"]);
    const soon = { "debounce.key": "k", "debounce.period": "1h", "debounce.maxWait": "2h" };
    const joined = [await start("wait", 1, soon), await start("wait", 2, soon)];
    expect(new Set(joined.map(({ body }) => body.runId)).size).toBe(1);
    expect(joined[1]?.body).toMatchObject({ existing: true, statusReason: "debounced" });
    for (const [name, value] of [
      ["flow.rate.limit", "0"],
      ["flow.rate.period", "soon"],
      ["timeouts.run", "5"],
    ] as const) {
      const wrong = await start("greet", { name: "x" }, { ...once, [name]: value });
      expect([wrong.status, wrong.body.metadata]).toMatchObject([400, { field: name }]);
    }
    const unknown = await start("greet", { name: "x" }, { "flow.concurrency": "1" });
    expect(unknown.body.detail).toMatch(/flow\.concurrency\.limit/);
  });

  test("lists come in pages, filtered", async () => {
    for (const name of ["p1", "p2", "p3"])
      await start("greet", { name }, { runId: name, tags: "p=1" });
    const query = { tags: "p=1", pageSize: "2", statuses: "queued,RUNNING,completed" };
    const first = await api.call("listRuns", { query });
    const pageToken = String(first.body.nextPageToken);
    const second = await api.call("listRuns", { query: { ...query, pageToken } });
    const ids = [first, second].map(({ body }) =>
      (body.runs as { runId: string }[]).map(({ runId }) => runId),
    );
    expect(ids).toEqual([["p3", "p2"], ["p1"]]);
    expect(second.body.nextPageToken).toBeUndefined();
    const wrong = await api.call("listRuns", { query: { status: "RUNNING" } });
    expect(refused(wrong)).toEqual([400, "INVALID_ARGUMENT", { field: "status" }]);
    expect(wrong.body.detail).toContain("there are statuses, workflow");
  });

  test("journal, steps, one step, values of every encoding, a large one by reference", async () => {
    await start("raw", undefined, { runId: "raw", wait: "30s" });
    const journal = await api.call("getJournal", { ...path("raw"), query: { pageSize: "2" } });
    expect(journal.body).toMatchObject({ more: true, entries: [{ seq: 1 }, { seq: 2 }] });
    const rest = await api.call("getJournal", { ...path("raw"), query: { afterSeq: "2" } });
    expect(rest.body).toMatchObject({
      more: false,
      entries: [{ seq: 3, payloadRef: { size: 2_000_002 } }, { seq: 4 }, { seq: 5 }, { seq: 6 }],
    });
    const steps = await api.call("listSteps", { ...path("raw"), query: { pageSize: "3" } });
    expect(steps.body).toMatchObject({
      steps: [{ stepKey: "bytes" }, { stepKey: "large" }, { stepKey: "date" }],
      nextPageToken: expect.any(String),
    });
    const pageToken = String(steps.body.nextPageToken);
    const more = await api.call("listSteps", { ...path("raw"), query: { pageToken } });
    expect(more.body).toMatchObject({ steps: [{ stepKey: "void" }] });
    const step = (stepKey: string) => api.call("getStep", { path: { runId: "raw", stepKey } });
    expect((await step("bytes")).body).toMatchObject({ payload: "AQID", payloadEncoding: "bytes" });
    expect((await step("void")).body).toMatchObject({ payload: null, payloadEncoding: "void" });
    expect((await step("date")).body).toMatchObject({ payloadEncoding: "json+pawl" });
    const { sha256 } = (await step("large")).body.payloadRef as { sha256: string };
    const large = await api.call("getPayload", { path: { sha256 } });
    expect(large.text).toBe(JSON.stringify("x".repeat(2_000_000)));
    expect(refused(await step("nope"))).toEqual([404, "NOT_FOUND", { id: "nope" }]);
    const lost = await api.call("getPayload", { path: { sha256: "0".repeat(64) } });
    expect(lost.status).toBe(404);
  });

  test("pause, resume, tags, cancel, retry, delete, and what they refuse", async () => {
    await start("wait", undefined, { runId: "steered" });
    const steer = (id: string, body?: unknown) => api.call(id, { ...path("steered"), body });
    await expect.poll(async () => (await steer("getRun")).body.status).toBe("waiting");
    const paused = await steer("pauseRun", { reason: "lunch" });
    expect(paused.body).toMatchObject({ status: "paused" });
    expect((await steer("resumeRun")).body).toMatchObject({ status: "waiting" });
    const tagged = await steer("updateTags", { set: { a: "1", b: "2" } });
    expect(tagged.body).toMatchObject({ tags: { a: "1", b: "2" } });
    const untagged = await steer("updateTags", { remove: ["a"] });
    expect(untagged.body).toMatchObject({ tags: { b: "2" } });
    const early = await steer("deleteRun");
    expect([early.status, early.body.reason]).toEqual([409, "ILLEGAL_TRANSITION"]);
    const wrong = await steer("cancelRun", { grace: "soon" });
    expect(refused(wrong)).toEqual([400, "INVALID_ARGUMENT", { field: "grace" }]);
    expect((await steer("cancelRun", { grace: "1s" })).status).toBe(200);
    await expect.poll(async () => (await steer("getRun")).body.status).toBe("cancelled");
    expect((await steer("retryRun")).body).toMatchObject({ reason: "ILLEGAL_TRANSITION" });
    expect((await steer("deleteRun")).status).toBe(204);
    for (const id of ["pauseRun", "resumeRun", "cancelRun", "retryRun", "updateTags"]) {
      expect(refused(await steer(id)), id).toEqual([404, "NOT_FOUND", { id: "steered" }]);
    }
  });

  test("a run that failed continues from its failed step", async () => {
    const failed = await start("fails", { times: 1 }, { runId: "fails", wait: "30s" });
    expect(failed.body).toMatchObject({
      status: "failed",
      failure: { type: "TypeError", message: "it does not work" },
    });
    expect((await api.call("retryRun", path("fails"))).status).toBe(200);
    const done = await api.call("getRun", { ...path("fails"), query: { wait: "30s" } });
    expect(done.body).toMatchObject({ status: "completed", waits: [] });
  });
});

test("signals are received once per id", async () => {
  await start("wait", undefined, { runId: "signalled" });
  const send = (body: unknown) =>
    api.call("sendSignal", {
      path: { runId: "signalled", name: "go" },
      query: { actor: "ada" },
      headers: { "idempotency-key": "s1" },
      body,
    });
  expect((await send({ n: 1 })).body).toEqual({ signalId: "s1", duplicate: false });
  expect((await send({ n: 1 })).body).toMatchObject({ duplicate: true });
  expect((await send({ n: 2 })).body).toMatchObject({ reason: "IDEMPOTENCY_CONFLICT" });
  const ended = await api.call("getRun", { ...path("signalled"), query: { wait: "30s" } });
  expect(ended.body).toMatchObject({ status: "completed", output: { first: { n: 1 } } });
  const list = await api.call("listSignals", path("signalled"));
  expect(list.body.signals).toMatchObject([{ name: "go", payload: { n: 1 }, actor: "ada" }]);
});

/** A run that asks a question, held by nobody: by bare calls, as any worker would. */
async function ask(runId: string, ...keys: string[]): Promise<string> {
  const claimed = await postJson(api.url, "RunService/StartRun", {
    ...{ workflow: "greet", runId, claim: true },
  });
  const { fence } = (claimed.body as { claimed: { lease: { fence: number } } }).claimed.lease;
  const wait = {
    question: { prompt: "Ship it?", type: "QUESTION_TYPE_APPROVAL", skippable: true },
  };
  for (const stepKey of keys.length === 0 ? ["user:ship"] : keys) {
    const step = { runId, fence, stepKey, kind: "STEP_KIND_USER", wait };
    await postJson(api.url, "StepService/StepStarted", step);
  }
  await postJson(api.url, "WorkerService/SuspendRun", { runId, fence });
  const { body } = await api.call("listWaits", { query: { runId } });
  const [asked] = body.waits as { waitId: string }[];
  return asked?.waitId ?? "";
}

test("waits: a question is listed, answered once, or cancelled", async () => {
  const [first, second] = [await ask("asks-1"), await ask("asks-2")];
  const open = await api.call("listWaits", { query: { kinds: "USER" } });
  expect(open.body.waits).toMatchObject([
    { waitId: first, question: { prompt: "Ship it?", type: "approval" } },
    { waitId: second },
  ]);
  const wait = (id: string, body?: unknown) => api.call(id, { path: { waitId: first }, body });
  expect((await wait("getWait")).body).toMatchObject({ wait: { stepKey: "user:ship" } });
  const wrong = await wait("answerWait", { answer: "perhaps", actor: "ada" });
  expect([wrong.status, wrong.body.reason]).toEqual([422, "INVALID_ANSWER"]);
  const answer = { answer: true, actor: "ada", resolutionId: "r1" };
  expect((await wait("answerWait", answer)).body).toMatchObject({
    duplicate: false,
    wait: { outcome: "answered", resolvedBy: "ada" },
  });
  expect((await wait("answerWait", answer)).body).toMatchObject({ duplicate: true });
  const late = await wait("answerWait", { answer: false, actor: "bob" });
  expect([late.status, late.body.reason]).toEqual([409, "WAIT_ALREADY_RESOLVED"]);
  const cancelled = await api.call("cancelWait", {
    path: { waitId: second },
    body: { actor: "a" },
  });
  expect(cancelled.body).toMatchObject({ outcome: "cancelled" });
});

test("a run's only question is answered by the run's id", async () => {
  const waitId = await ask("asks-by-run");
  const body = { answer: true, actor: "ada", resolutionId: "r1" };
  const answered = await api.call("answerRun", { ...path("asks-by-run"), body });
  expect(answered.body).toMatchObject({ duplicate: false, wait: { waitId, outcome: "answered" } });
  // The same again, as after a lost response, finds the question that it answered.
  const again = await api.call("answerRun", { ...path("asks-by-run"), body });
  expect(again.body).toMatchObject({ duplicate: true, wait: { waitId } });
  const late = await api.call("answerRun", { ...path("asks-by-run"), body: { answer: false } });
  // The worker that got the answer may have ended the run already.
  const refusals = ["404 NOT_FOUND", "409 RUN_TERMINAL"];
  expect(refusals).toContain(`${late.status} ${late.body.reason}`);
  await ask("asks-twice", "user:ship", "user:land");
  const refusal = await api.call("answerRun", { ...path("asks-twice"), body });
  expect([refusal.status, refusal.body.reason]).toEqual([400, "INVALID_ARGUMENT"]);
  const { open_waits: open = "[]" } = refusal.body.metadata as Record<string, string>;
  expect(JSON.parse(open)).toMatchObject([
    { stepKey: "user:ship", prompt: "Ship it?" },
    { stepKey: "user:land", prompt: "Ship it?" },
  ]);
});

test("links: a question is seen and answered by its link alone, once; a callback is called", async () => {
  const waitId = await ask("asks-3");
  const body = { expiresIn: "1h" };
  const link = await api.call("createWaitLink", { path: { waitId }, body });
  expect(link.body.url).toContain(`/v1/answers/${link.body.token}`);
  const path = { token: String(link.body.token) };
  const headers = { accept: "application/json" };
  const question = await api.call("getQuestion", { path, headers });
  expect(question.body).toMatchObject({ question: { prompt: "Ship it?", type: "approval" } });
  expect((await api.call("getQuestion", { path })).text).toContain("<form");
  const wrong = await api.call("answerQuestion", { path, body: { answer: 7 } });
  expect([wrong.status, wrong.body.reason]).toEqual([422, "INVALID_ANSWER"]);
  const answered = await api.call("answerQuestion", { path, body: { answer: true } });
  expect(answered.body).toMatchObject({ status: "recorded", duplicate: false });
  const late = await api.call("answerQuestion", { path, body: { answer: false } });
  expect([late.status, late.body.reason]).toEqual([409, "WAIT_ALREADY_RESOLVED"]);
  const forged = await api.call("callBack", { path, body: {} });
  expect([forged.status, forged.body.reason]).toEqual([403, "PERMISSION_DENIED"]);
});

test("the server, workflows and workers", async () => {
  const workflows = await api.call("listWorkflows");
  expect(workflows.body.workflows).toMatchObject([{ spec: { name: "fails" } }, {}, {}, {}, {}]);
  const one = await api.call("getWorkflow", { path: { name: "greet" } });
  expect(one.body).toMatchObject({ spec: { name: "greet" }, servedBy: ["http-worker"] });
  const none = await api.call("getWorkflow", { path: { name: "nope" } });
  expect(none.body).toMatchObject({ reason: "NOT_FOUND", metadata: { workflow: "nope" } });
  expect((await api.call("getServer")).body).toMatchObject({ httpUrl: api.url });
  const workers = await api.call("listWorkers");
  expect(workers.body.workers).toMatchObject([{ info: { workerId: "http-worker" } }]);
});

test("API keys", async () => {
  const made = await api.call("createKey", { body: { name: "ci", scopes: ["runs:read"] } });
  expect([made.status, made.body.text]).toEqual([201, expect.stringMatching(/^pawl_sk_\w{36}$/)]);
  const listed = await api.call("listKeys");
  const [key] = listed.body.keys as { keyId: string }[];
  expect(key).toMatchObject({ name: "ci", operator: false, scopes: ["runs:read"] });
  const path = { keyId: key?.keyId ?? "" };
  const rotated = await api.call("rotateKey", { path, body: { overlap: "60s" } });
  expect([rotated.status, rotated.body.key]).toEqual([
    200,
    expect.objectContaining({ name: "ci" }),
  ]);
  expect((await api.call("revokeKey", { path })).status).toBe(204);
  const again = await api.call("rotateKey", { path, body: {} });
  expect(refused(again)[1]).toBe("ILLEGAL_TRANSITION");
});

describe("what is not served is refused in words", () => {
  const cases: [string, RequestInit, string, unknown[]][] = [
    ["an unknown route", {}, "/v1/nothing", [404, "NOT_FOUND"]],
    ["an unknown page", {}, "/nothing", [404, "NOT_FOUND"]],
    ["a path that cannot be decoded", {}, "/v1/runs/%zz", [404, "NOT_FOUND"]],
    ["a wrong method", { method: "PUT" }, "/v1/runs/x", [405, "INVALID_ARGUMENT"]],
    ["a wrong method of a page", { method: "POST" }, "/", [405, "INVALID_ARGUMENT"]],
    ["JSON that is none", post("{"), "/v1/workflows/greet/runs", [400, "INVALID_ARGUMENT"]],
    ["a body that is not an object", post("[]"), "/v1/runs/x/pause", [400, "INVALID_ARGUMENT"]],
    ["a field that is not known", post('{"a":1}'), "/v1/runs/x/pause", [400, "INVALID_ARGUMENT"]],
    ["text for text", post('{"reason":1}'), "/v1/runs/x/pause", [400, "INVALID_ARGUMENT"]],
    ["a form", post("a=1", "text/plain"), "/v1/runs/x/pause", [415, "INVALID_ARGUMENT"]],
    [
      "too large a body",
      post(`"${"x".repeat(4 * 1024 * 1024)}"`),
      "/v1/workflows/greet/runs",
      [413, "PAYLOAD_TOO_LARGE"],
    ],
    ["a cursor that is none", {}, "/v1/runs/digits/events?after=x", [400, "INVALID_ARGUMENT"]],
    ["an unknown run's events", {}, "/v1/runs/x/events", [404, "NOT_FOUND"]],
  ];

  function post(body: string, type = "application/json"): RequestInit {
    return { method: "POST", body, headers: { "content-type": type } };
  }

  test.each(cases)("%s", async (_name, init, where, expected) => {
    const response = await fetch(`${api.url}${where}`, init);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    const problem = (await response.json()) as { status: number; reason: string; detail: string };
    expect([response.status, problem.reason]).toEqual(expected);
    expect(problem).toMatchObject({ status: response.status, detail: /\w/ });
    if (response.status === 405) expect(response.headers.get("allow")).toContain("GET");
  });
});

test("HEAD is GET without the body; the start page suits who asks", async () => {
  const head = await fetch(`${api.url}/v1/runs`, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
  expect(Number(head.headers.get("content-length"))).toBeGreaterThan(10);
  const page = await fetch(api.url, { headers: { accept: "text/html,*/*" } });
  expect(await page.text()).toContain('<a href="/docs">');
  expect(await (await fetch(api.url)).text()).toContain("/openapi.json");
});

test("the page for people has every operation, loads nothing and runs nothing", async () => {
  const response = await fetch(`${api.url}/docs`);
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  const html = await response.text();
  expect(html).not.toMatch(/<script|src=|https?:\/\//);
  for (const { operation } of api.operations()) {
    expect(html).toContain(`id="${operation.operationId}"`);
  }
});

test("docs/http.md reports every route, and the status of every reason", async () => {
  const text = await readFile(join(import.meta.dirname, "../../docs/http.md"), "utf8");
  const told = [...text.matchAll(/^\| `([A-Z]+ \/v1\S*)` \|/gm)].map(([, route]) => route);
  const served = api.operations().map(({ method, path: route }) => `${method} ${route}`);
  expect(told.toSorted()).toEqual(served.toSorted());
  const statuses = [...text.matchAll(/^\| (\d{3}) \| (.*) \|$/gm)].flatMap(([, status, reasons]) =>
    [...(reasons ?? "").matchAll(/`([A-Z_]+)`/g)].map(([, reason]) => `${reason} ${status}`),
  );
  const known = Object.keys(REASONS) as Reason[];
  expect(statuses.toSorted()).toEqual(known.map((one) => `${one} ${statusOf(one)}`).toSorted());
});

test("no operation was left out", () => {
  const called = new Set([...api.seen].map((one) => one.split(" ", 1)[0]));
  // Streams have tests of their own.
  for (const id of ["watchRun", "watchRuns"]) called.add(id);
  const all = api.operations().map(({ operation }) => operation.operationId);
  expect(all.filter((id) => !called.has(id))).toEqual([]);
  expect(all.length).toBeGreaterThan(20);
});
