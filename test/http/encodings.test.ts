/**
 * Goal: what cannot be read as it comes is refused with what to send instead, never recorded.
 * Method: compressed bodies and wrong content types, at all kinds of addresses.
 */
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab } from "../semantics/lab.ts";
import { asked, link, TEXT } from "../waits/waits-lab.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open("sqlite");
});
afterAll(() => lab[Symbol.asyncDispose]());

async function post(path: string, type: string, encoding: string, body: Buffer<ArrayBuffer>) {
  const url = path.startsWith("http") ? path : `${lab.server.httpUrl}${path}`;
  const headers = { "content-type": type, "content-encoding": encoding };
  const answer = await fetch(url, { method: "POST", headers, body });
  return { status: answer.status, text: await answer.text() };
}

test.each(["application/json", "application/octet-stream"])(
  "a compressed %s under /v1",
  async (type) => {
    const { runId, flow } = await lab.held("session");
    const body = gzipSync("1");
    for (const path of [`/v1/workflows/${flow}/runs`, `/v1/runs/${runId}/signals/go`]) {
      expect(await post(path, type, "gzip", body)).toMatchObject({
        status: 415,
        text: expect.stringMatching(/content encoding is gzip.*uncompressed/),
      });
    }
    expect((await lab.journal(runId)).map((entry) => entry.type)).toEqual(["run.started"]);
  },
);

test("a compressed answer by a link", async () => {
  const held = await asked(lab, "session", { q: { prompt: "Q?", type: TEXT } });
  const { url } = await link(lab.client, `${held.runId}#user:q`);
  const answer = await post(url, "application/json", "gzip", gzipSync('{"answer":"a"}'));
  expect(answer.status).toBe(415);
});

test("Connect takes gzip, and says so of what it does not take", async () => {
  const rpc = "/pawl.v1.RunService/GetRun";
  const body = '{"runId":"none"}';
  expect((await post(rpc, "application/json", "gzip", gzipSync(body))).text).toContain("NOT_FOUND");
  const other = await post(rpc, "application/json", "br", Buffer.from(body));
  expect(other).toMatchObject({ status: 400, text: expect.stringContaining("INVALID_ARGUMENT") });
});

test("JSON for a call that takes a stream", async () => {
  const path = "/pawl.v1.EventService/PublishEvents";
  const answer = await post(path, "application/json", "identity", Buffer.from("{}"));
  expect(answer).toMatchObject({ status: 415, text: expect.stringContaining("connect+json") });
});
