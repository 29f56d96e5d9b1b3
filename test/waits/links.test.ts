/**
 * Goal: a person or an outside process without a key resolves one wait by its link, once; a used,
 * expired or forged token changes nothing and says so.
 * Method: plain HTTP against the URLs that the server gives out, on both stores.
 */

import { AnswerVia, RunService, WaitOutcome, type WorkItem } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newApiKey } from "../../server/src/auth/api-key.ts";
import { connect, rpc } from "../harness/protocol.ts";
import { startServer } from "../harness/server.ts";
import { jsonOf, Lab, ms, refused, sleep, stores } from "../semantics/lab.ts";
import {
  APPROVAL,
  ask,
  asked,
  CALLBACK,
  CHOICE,
  FORM,
  getWait,
  type HeldRun,
  idOf,
  link,
  MULTICHOICE,
  suspendOn,
  TEXT,
} from "./waits-lab.ts";

async function callback(held: HeldRun, name = "cb") {
  const { worker, runId, fence } = held;
  const stepKey = `callback:${name}`;
  const { outcome } = await worker.stepStarted({
    runId,
    fence,
    stepKey,
    name,
    kind: CALLBACK,
    wait: {},
  });
  return outcome;
}

function urlOf(outcome: Awaited<ReturnType<typeof callback>>): string {
  if (outcome.case === "wait" || outcome.case === "replay") return outcome.value.callbackUrl;
  throw new Error(`The outcome is ${outcome.case}.`);
}

const post = (url: string, body: string | Uint8Array<ArrayBuffer>, type = "application/json") =>
  fetch(url, { method: "POST", body, headers: { "content-type": type } });
const form = (url: string, fields: [string, string][]) =>
  fetch(url, { method: "POST", body: new URLSearchParams(fields) });
const types = async (lab: Lab, runId: string) =>
  (await lab.journal(runId)).map(({ type }) => type).slice(1);

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test.concurrent("a callback resumes the run with the body; its URL can be asked for again", async () => {
    const held = await lab.held("session");
    const url = urlOf(await callback(held));
    expect(url.startsWith(`${lab.server.httpUrl}/v1/callbacks/`)).toBe(true);
    expect(urlOf(await callback(held))).toBe(url);
    await suspendOn(held, ["callback:cb"]);
    const response = await post(url, '{"paid": true}');
    expect([response.status, await response.json()]).toEqual([
      200,
      { status: "recorded", duplicate: false },
    ]);
    const next = await held.worker.next(held.runId, held.fence);
    const resolved = next.journal.find(({ type }) => type === "workflow.wait.resolved");
    expect(resolved).toMatchObject({
      outcome: WaitOutcome.COMPLETED,
      details: { via: "callback" },
    });
    expect(jsonOf(resolved?.payload)).toEqual({ paid: true });
    const replayed = await callback({ ...held, fence: next.lease?.fence ?? 0 });
    expect(replayed.case).toBe("replay");
    expect(urlOf(replayed)).toBe(url);
  });

  test.concurrent("a body that is not JSON arrives as bytes; JSON that is broken changes nothing", async () => {
    const held = await lab.held("unary");
    const url = urlOf(await callback(held));
    expect((await post(url, "{broken")).status).toBe(400);
    expect(await types(lab, held.runId)).toEqual(["workflow.wait.created"]);
    await post(url, new Uint8Array([0, 255, 1]), "application/octet-stream");
    const { payload } = await getWait(lab.client, `${held.runId}#callback:cb`);
    expect(payload?.encoding).toBe("bytes");
    expect([...(payload?.data ?? [])]).toEqual([0, 255, 1]);
  });

  test.concurrent("a large body arrives whole; one that is too large is refused, and changes nothing", async () => {
    const held = await lab.held("unary");
    const url = urlOf(await callback(held));
    const tooLarge = await post(url, new Uint8Array(9 * 1024 * 1024), "application/octet-stream");
    expect([tooLarge.status, await tooLarge.json()]).toMatchObject([
      413,
      { reason: "PAYLOAD_TOO_LARGE" },
    ]);
    expect(await types(lab, held.runId)).toEqual(["workflow.wait.created"]);
    const large = new Uint8Array(4 * 1024 * 1024).fill(7);
    expect((await post(url, large, "application/octet-stream")).status).toBe(200);
    const { payload } = await getWait(lab.client, `${held.runId}#callback:cb`);
    expect(payload?.ref?.size).toBe(large.byteLength);
  });

  test.concurrent("a used callback: the same again is told so, another body is refused", async () => {
    const held = await lab.held("unary");
    const url = urlOf(await callback(held));
    await post(url, '"first"');
    const before = await types(lab, held.runId);
    const same = await post(url, '"first"');
    expect([same.status, await same.json()]).toEqual([
      200,
      { status: "recorded", duplicate: true },
    ]);
    const other = await post(url, '"second"');
    expect(other.status).toBe(409);
    expect(await other.json()).toMatchObject({ reason: "WAIT_ALREADY_RESOLVED" });
    expect(await types(lab, held.runId)).toEqual(before);
    expect((await fetch(url)).status).toBe(405);
  });

  test.concurrent("a forged token, one of another kind, and a signature of another server", async () => {
    const held = await asked(lab, "unary", { q: { prompt: "Q?", type: TEXT } });
    const url = urlOf(await callback(held));
    const answerUrl = (await link(lab.client, `${held.runId}#user:q`)).url;
    const [body = "", signature = ""] = (url.split("/").at(-1) ?? "").split(".");
    const claims: unknown[] = JSON.parse(Buffer.from(body, "base64url").toString());
    const encoded = (...all: unknown[]) => Buffer.from(JSON.stringify(all)).toString("base64url");
    const other = encoded(...claims.slice(0, 3), "user:q", claims[4]);
    const flipped = signature.startsWith("A") ? `B${signature.slice(1)}` : `A${signature.slice(1)}`;
    const base = `${lab.server.httpUrl}/v1/callbacks`;
    const forged = [
      `${base}/${other}.${signature}`,
      `${base}/${body}.${flipped}`,
      `${base}/${body}`,
      `${base}/${body}.${signature}.${signature}`,
      // The same bytes in other spellings of Base64.
      `${base}/${body}.${signature}=`,
      `${base}/${body}.${signature}A`,
      `${base}/${body}.-${signature}`,
      `${base}/${encoded("callback", "another-org", ...claims.slice(2))}.${signature}`,
      `${base}/nonsense`,
      `${base}/${"x".repeat(9_000)}`,
      answerUrl.replace("/answers/", "/callbacks/"),
      url.replace("/callbacks/", "/answers/"),
    ];
    for (const one of forged) {
      const response = await post(one, '"x"');
      expect(response.status, one).toBe(403);
      expect(await response.json()).toMatchObject({ reason: "PERMISSION_DENIED" });
    }
    expect(await types(lab, held.runId)).toEqual([
      "workflow.wait.created",
      "workflow.wait.created",
    ]);
  });

  test.concurrent("links of a run that was deleted do nothing to the one that has its id now", async () => {
    const flow = lab.name("flow");
    const worker = await lab.worker("unary", flow);
    const runId = lab.name("run");
    const made = async (former?: WorkItem) => {
      await lab.start({ workflow: flow, runId });
      const item = await worker.next(runId, 0, former);
      const held = { worker, runId, fence: item.lease?.fence ?? 0 };
      await ask(held, "q", { prompt: "Pay?", type: APPROVAL });
      const answerUrl = (await link(lab.client, `${runId}#user:q`)).url;
      return { item, held, answerUrl, callbackUrl: urlOf(await callback(held)) };
    };
    const old = await made();
    const failure = { type: "Boom", message: "boom" };
    await worker.failRun({ runId, fence: old.held.fence, failure });
    await rpc(lab.client, RunService.method.deleteRun, { runId });
    const now = await made(old.item);
    expect(now.callbackUrl).not.toBe(old.callbackUrl);
    expect((await post(old.callbackUrl, "1")).status).toBe(410);
    expect((await post(old.answerUrl, '{"answer":true}')).status).toBe(410);
    expect((await fetch(old.answerUrl)).status).toBe(410);
    const gone = await form(old.answerUrl, [["answer", "true"]]);
    expect(gone.status).toBe(410);
    const page = await gone.text();
    expect(page).toContain("The run that this link was made for was deleted.");
    expect(page).not.toContain(runId);
    expect(await types(lab, runId)).not.toContain("workflow.wait.resolved");
    expect((await post(now.callbackUrl, "1")).status).toBe(200);
    expect((await post(now.answerUrl, '{"answer":true}')).status).toBe(200);
    // Who comes back to the page is told that it was their own answer.
    const again = await fetch(now.answerUrl);
    expect([again.status, await again.text()]).toEqual([
      200,
      expect.stringContaining("Your answer was recorded before"),
    ]);
  });

  test.concurrent("a callback of a run that has ended or timed out", async () => {
    const held = await lab.held("unary");
    const { worker, runId, fence } = held;
    const url = urlOf(await callback(held));
    const timed = await worker.stepStarted({
      runId,
      fence,
      stepKey: "callback:timed",
      kind: CALLBACK,
      wait: { duration: ms(20) },
    });
    await lab.untilEntry(runId, "workflow.wait.resolved");
    expect((await post(urlOf(timed.outcome), "1")).status).toBe(410);
    await worker.failRun({ runId, fence, failure: { type: "Boom", message: "boom" } });
    expect((await post(url, "1")).status).toBe(410);
  });

  test.concurrent("an answer link shows the question, takes the form once, and records who", async () => {
    const { runId } = await asked(lab, "unary", {
      q: {
        prompt: "Ship <it>?",
        type: CHOICE,
        options: [{ value: "y", label: "Yes" }],
        assignees: ["al"],
      },
    });
    const waitId = await idOf(lab.client, `${runId}#user:q`);
    const { url, expiresAt } = await link(lab.client, waitId, "al");
    expect(Number(expiresAt?.seconds) * 1_000).toBeGreaterThan(Date.now() + 6 * 86_400_000);
    const page = await fetch(url);
    const html = await page.text();
    expect(page.status).toBe(200);
    expect(html).toContain("Ship &lt;it&gt;?");
    expect(html).toContain('value="y"');
    expect(html).not.toContain("<script");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(page.headers.get("referrer-policy")).toBe("no-referrer");
    const wrong = await form(url, [["answer", "maybe"]]);
    expect(wrong.status).toBe(422);
    expect(await wrong.text()).toContain('role="alert"');
    const done = await form(url, [
      ["answer", "y"],
      ["comment", "good"],
    ]);
    expect(done.status).toBe(200);
    const { wait, payload } = await getWait(lab.client, waitId);
    expect(jsonOf(payload)).toBe("y");
    expect(wait?.answers).toMatchObject([{ actor: "al", comment: "good", via: AnswerVia.LINK }]);
    const again = await fetch(url);
    expect([again.status, await again.text()]).toEqual([
      200,
      expect.stringContaining("Your answer was recorded before"),
    ]);
    expect((await form(url, [["answer", "z"]])).status).toBe(409);
  });

  test.concurrent("answers as JSON, by several links, until there are enough", async () => {
    const question = {
      prompt: "OK?",
      type: APPROVAL,
      assignees: ["al", "bo", "cy"],
      approvalsNeeded: 2,
    };
    const { runId } = await asked(lab, "unary", { q: question });
    const waitId = await idOf(lab.client, `${runId}#user:q`);
    const al = await link(lab.client, waitId, "al");
    const alToo = await link(lab.client, waitId, "al");
    const bo = await link(lab.client, waitId, "bo");
    await expect(link(lab.client, waitId, "eve")).rejects.toMatchObject(
      refused("PERMISSION_DENIED"),
    );
    const first = await post(al.url, '{"answer": true, "comment": "fine"}');
    expect(await first.json()).toEqual({ status: "recorded", duplicate: false, open: true });
    expect((await post(alToo.url, '{"answer": true}')).status).toBe(409);
    const second = await post(bo.url, '{"answer": true}');
    expect(await second.json()).toEqual({ status: "recorded", duplicate: false, open: false });
    expect((await getWait(lab.client, waitId)).wait?.outcome).toBe(WaitOutcome.ANSWERED);
    await expect(link(lab.client, waitId, "cy")).rejects.toMatchObject(
      refused("WAIT_ALREADY_RESOLVED", { resolved_by: "bo" }),
    );
  });

  test.concurrent("forms of every type reach the run as they are meant", async () => {
    const formSchema = JSON.stringify({
      type: "object",
      properties: {
        amount: { type: "number", title: "Amount" },
        urgent: { type: "boolean" },
        lane: { enum: ["a", "b"] },
        tags: { type: "array", items: { enum: ["x", "y"] } },
        note: { type: "string" },
      },
      required: ["amount"],
    });
    const { runId } = await asked(lab, "unary", {
      text: { prompt: "Text?", type: TEXT },
      many: { prompt: "Many?", type: MULTICHOICE, options: [{ value: "1" }, { value: "2" }] },
      none: { prompt: "None?", type: MULTICHOICE, options: [{ value: "1" }] },
      no: { prompt: "No?", type: APPROVAL },
      skip: { prompt: "Skip?", type: TEXT, skippable: true },
      form: { prompt: "Form?", type: FORM, formSchema },
    });
    const cases: [string, [string, string][], unknown][] = [
      ["text", [["answer", ""]], ""],
      [
        "many",
        [
          ["answer", "2"],
          ["answer", "1"],
        ],
        ["2", "1"],
      ],
      ["none", [], []],
      ["no", [["answer", "false"]], false],
      [
        "form",
        [
          ["field:amount", "2.5"],
          ["field:urgent", "true"],
          ["field:lane", ""],
          ["field:tags", "y"],
          ["field:note", ""],
        ],
        { amount: 2.5, urgent: true, tags: ["y"] },
      ],
    ];
    for (const [name, fields, value] of cases) {
      const waitId = await idOf(lab.client, `${runId}#user:${name}`);
      const { url } = await link(lab.client, waitId);
      expect((await fetch(url)).status).toBe(200);
      const sent = await form(url, [...fields, ["comment", ""]]);
      expect(sent.status, await sent.text()).toBe(200);
      expect(jsonOf((await getWait(lab.client, waitId)).payload), name).toEqual(value);
    }
    const { url } = await link(lab.client, `${runId}#user:skip`);
    expect((await form(url, [["action", "skip"]])).status).toBe(200);
    expect((await getWait(lab.client, `${runId}#user:skip`)).wait?.outcome).toBe(
      WaitOutcome.SKIPPED,
    );
  });

  test.concurrent("an expired link, and one of a run that has ended", async () => {
    const { worker, runId, fence } = await asked(lab, "unary", { q: { prompt: "Q?", type: TEXT } });
    const short = await link(lab.client, `${runId}#user:q`, "", 1);
    const long = await link(lab.client, `${runId}#user:q`);
    await sleep(5);
    const expired = await fetch(short.url);
    expect([expired.status, await expired.text()]).toEqual([
      410,
      expect.stringContaining("expired"),
    ]);
    expect((await form(short.url, [["answer", "x"]])).status).toBe(410);
    await worker.failRun({ runId, fence, failure: { type: "Boom", message: "boom" } });
    expect((await fetch(long.url)).status).toBe(410);
    expect((await form(long.url, [["answer", "x"]])).status).toBe(410);
    expect(await types(lab, runId)).toEqual(["workflow.wait.created", "run.failed"]);
  });
});

test("links outlive the server, lead to the public URL, and are good at every server of the store", async () => {
  const lab = await Lab.open("postgres");
  await using _ = lab;
  const { runId } = await asked(lab, "unary", { q: { prompt: "Q?", type: TEXT } });
  const held = await lab.held("unary");
  const url = new URL(urlOf(await callback(held)));
  const key = newApiKey("operator");
  await using other = await startServer({
    store: lab.server.store,
    args: ["--public-url", "https://pawl.example/run/"],
    env: { PAWL_OPERATOR_KEY: key },
  });
  expect((await fetch(`${other.httpUrl}${url.pathname}`)).status).toBe(405);
  // As a proxy forwards it: under the public name.
  const { status } = await post(`${other.httpUrl}${url.pathname}`, "1");
  expect(status).toBe(200);
  const client = connect(other.grpcAddress, key);
  const made = await link(client, `${runId}#user:q`).finally(() => client.close());
  expect(made.url.startsWith("https://pawl.example/run/v1/answers/")).toBe(true);
  expect((await fetch(`${lab.server.httpUrl}/v1/answers/${made.token}`)).status).toBe(200);
});
