/**
 * Goal: no schema, and nothing that is checked against one, freezes or ends the server.
 * Method: workflows and forms whose checks would take for ever, over HTTP alone, while another
 * client asks whether the server is well.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab } from "../semantics/lab.ts";
import { asked, FORM, link } from "../waits/waits-lab.ts";

let lab: Lab;
let worst = 0;
let watching = true;
let watch: Promise<void>;

beforeAll(async () => {
  lab = await Lab.open("sqlite");
  watch = (async () => {
    while (watching) {
      const from = performance.now();
      const { ok } = await fetch(`${lab.server.httpUrl}/healthz`);
      expect(ok).toBe(true);
      worst = Math.max(worst, performance.now() - from);
      await sleep(20);
    }
  })();
});

afterAll(async () => {
  watching = false;
  await watch;
  await lab[Symbol.asyncDispose]();
  // Without bounds it takes for ever; with them, what a busy machine takes.
  expect(worst).toBeLessThan(30_000);
});

let polls = 0;
async function register(name: string, schema: unknown) {
  polls += 1;
  const workflows = [{ name, inputSchema: JSON.stringify(schema) }];
  const worker = { workerId: `w${polls}`, instanceId: "i", queues: ["none"], workflows };
  return await post("/pawl.v1.WorkerService/PollWork", { worker, wait: "0.01s" });
}

async function post(path: string, body: unknown) {
  const url = path.startsWith("http") ? path : `${lab.server.httpUrl}${path}`;
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.text() };
}

const evil = `${"a".repeat(40)}!`;
const objects = Array.from({ length: 60_000 }, (_, i) => ({ i }));

test.concurrent.each([
  ["a pattern in linear time", { pattern: "^(a+)+$" }, evil, "INVALID_INPUT"],
  ["a pattern that goes back", { pattern: "^(?=a)(a+)+$" }, evil, "SCHEMA_TOO_SLOW"],
  ["unique items", { type: "array", uniqueItems: true }, objects, "SCHEMA_TOO_SLOW"],
  [
    "a large value that fails",
    { items: { allOf: [{ type: "null" }, { type: "null" }] } },
    objects,
    "INVALID_INPUT",
  ],
])("an input against %s", async (name, schema, input, reason) => {
  const workflow = name.replaceAll(" ", "-");
  expect((await register(workflow, schema)).status).toBe(200);
  const answer = await post(`/v1/workflows/${workflow}/runs`, input);
  expect(answer).toMatchObject({ status: 422, body: expect.stringContaining(reason) });
});

test.concurrent.each([{ pattern: "^(?=a)(a+)+$" }, { type: "string", pattern: "^(a+)+$" }])(
  "a form's answer by its link against %j",
  async (property) => {
    const formSchema = JSON.stringify({ type: "object", properties: { a: property } });
    const held = await asked(lab, "session", { q: { prompt: "Q?", type: FORM, formSchema } });
    const { url } = await link(lab.client, `${held.runId}#user:q`);
    const bad = await post(url, { answer: { a: evil } });
    expect(bad.status).toBe(422);
    const form = await fetch(url, {
      method: "POST",
      body: new URLSearchParams([["field:a", evil]]),
    });
    expect(form.status).toBe(422);
    expect(await form.text()).toContain("<form");
    expect(await post(url, { answer: { a: "aaa" } })).toMatchObject({ status: 200 });
  },
);

test.concurrent("$async and references to elsewhere are refused at registration", async () => {
  for (const schema of [{ $async: true, type: "string" }, { $ref: "https://example.com/x" }])
    expect(await register("bad", schema)).toMatchObject({
      status: 400,
      body: expect.stringMatching(/input_schema.*not a usable JSON Schema/),
    });
});

test.concurrent("an input that is nested too deeply is refused as such", async () => {
  await register("tree", { type: "array", items: { $ref: "#" } });
  const url = `${lab.server.httpUrl}/v1/workflows/tree/runs`;
  const headers = { "content-type": "application/json" };
  const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  const send = (levels: number) => fetch(url, { method: "POST", headers, body: deep(levels) });
  const refused = await send(5_000);
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining("deep")]);
  expect((await send(399)).status).toBe(201);
});
