/**
 * Goal: JSON that cannot be written again is refused where it comes by HTTP, and what workers
 * recorded can always be read, as bytes where it is not JSON that can be shown.
 * Method: values nested far too deep, and broken ones, at every route that takes or shows values.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, STEP } from "../semantics/lab.ts";
import { asked, CALLBACK, FORM, idOf, link } from "../waits/waits-lab.ts";

const deepText = "[".repeat(20_000) + "]".repeat(20_000);
const deep = Buffer.from(deepText);
const broken = Buffer.from([0x22, 0xff, 0xfe, 0x22]);

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open("sqlite");
});
afterAll(() => lab[Symbol.asyncDispose]());

async function post(url: string, body: string | Buffer<ArrayBuffer>) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body });
  return { status: answer.status, body: await answer.text() };
}

describe.each([
  ["deep", deep, /nested more than 400 levels/],
  ["in broken UTF-8", broken, /UTF-8/],
])("JSON that is %s is refused", (_name, bytes, why) => {
  const refused = { status: 400, body: expect.stringMatching(why) };

  test("as an input", async () => {
    const { flow } = await lab.held("session");
    const url = `${lab.server.httpUrl}/v1/workflows/${flow}/runs`;
    expect(await post(url, bytes)).toMatchObject(refused);
  });

  test("as a signal", async () => {
    const { runId } = await lab.held("session");
    const url = `${lab.server.httpUrl}/v1/runs/${runId}/signals/go`;
    expect(await post(url, bytes)).toMatchObject(refused);
  });

  test("at a callback, however it comes", async () => {
    const { worker, runId, fence } = await lab.held("session");
    const stepKey = "callback:c";
    const started = { runId, fence, stepKey, name: "c", kind: CALLBACK, wait: {} };
    const { outcome } = await worker.stepStarted(started);
    if (outcome.case !== "wait") throw new Error(`The outcome is ${outcome.case}.`);
    expect(await post(outcome.value.callbackUrl, bytes)).toMatchObject(refused);
    const waitId = await idOf(lab.client, `${runId}#${stepKey}`);
    const url = `${lab.server.httpUrl}/v1/waits/${waitId}/answer`;
    const answer = await post(
      url,
      Buffer.concat([Buffer.from('{"answer":'), bytes, Buffer.from("}")]),
    );
    expect(answer.status).toBe(400);
  });

  test("as an answer by link", async () => {
    const formSchema = JSON.stringify({ type: "object" });
    const held = await asked(lab, "session", { q: { prompt: "Q?", type: FORM, formSchema } });
    const { url } = await link(lab.client, `${held.runId}#user:q`);
    const body = Buffer.concat([Buffer.from('{"answer":'), bytes, Buffer.from("}")]);
    expect(await post(url, body)).toMatchObject(refused);
    const form = new URLSearchParams([["json", bytes.toString("latin1")]]);
    expect((await fetch(url, { method: "POST", body: form })).status).toBe(422);
  });
});

test("values on record that cannot be shown as JSON are shown as bytes, everywhere", async () => {
  const { worker, runId, fence } = await lab.held("session");
  const payloads = [
    { data: deep, encoding: "json" },
    { data: deep, encoding: "json+pawl" },
    { data: broken, encoding: "json" },
    { data: Buffer.from('{"half'), encoding: "json" },
  ];
  for (const [i, output] of payloads.entries()) {
    const step = { runId, fence, stepKey: `s${i}`, name: `s${i}`, kind: STEP, attempt: 1 };
    await worker.stepStarted(step);
    await worker.stepCompleted({ ...step, output });
  }
  await worker.completeRun({ runId, fence, output: { data: deep, encoding: "json" } });

  const run = `${lab.server.httpUrl}/v1/runs/${runId}`;
  const shown = { outputEncoding: "bytes", output: deep.toString("base64") };
  expect(await (await fetch(run)).json()).toMatchObject(shown);
  const paths = ["/journal", "/events", "/steps/s0", "/steps/s2"];
  for (const path of paths) {
    const answer = await fetch(`${run}${path}`, { headers: { accept: "application/json" } });
    expect([path, answer.status, (await answer.text()).includes('"bytes"')]).toEqual([
      path,
      200,
      true,
    ]);
  }
  const stream = await (await fetch(`${run}/events`)).text();
  expect(stream).toContain("event: run.completed");
  expect(stream).not.toContain("stream.error");
});

test("the command line shows them, too", async () => {
  const { worker, runId, fence } = await lab.held("session");
  await worker.completeRun({ runId, fence, output: { data: deep, encoding: "json" } });
  const pawl = join(import.meta.dirname, "../../server/bin/pawl.js");
  for (const command of [["status"], ["events"], ["inspect"], ["watch"], ["status", "--json"]]) {
    const [name = "", ...more] = command;
    const args = [pawl, name, runId, ...more, "--server", lab.server.httpUrl];
    const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 24 });
    expect(stdout, name).toMatch(/completed/i);
  }
});
