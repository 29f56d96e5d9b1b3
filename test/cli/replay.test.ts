/**
 * Goal: `pawl replay` says before a deploy which runs the new code cannot continue, and
 * executes nothing.
 * Method: runs of a real worker, exported, then replayed through changed versions of its file.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT } from "@pawl/server/internal";
import { Client, silentLogger, Worker, workflow } from "@pawl/worker";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { patienceMs } from "../harness/patience.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { errorOf, pawl } from "./cli.ts";

let folder: string;
let server: TestServer;
const journals = { ended: "", waiting: "" };

/** The worker's code as a file: imports are resolved from here. */
function source(body: string): string {
  return `import { Worker, workflow } from "${import.meta.resolve("@pawl/worker")}";
import { appendFileSync } from "node:fs";
const ran = (name, value) => { appendFileSync(process.env.RAN, name + "\\n"); return value; };
const order = workflow("order", { version: "" }, async (ctx, input) => { ${body} });
await new Worker({ workflows: [order] }).run();
`;
}

const original = `
  const stock = await ctx.step("reserve", () => ran("reserve", input.n * 2));
  const how = await ctx.signal("paid");
  await ctx.step("ship", () => ran("ship", stock), { version: "1" });
  return { stock, how };`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pawl-replay-"));
  await mkdir(join(folder, "journals"));
  server = await startServer();
  const order = workflow("order", async (ctx, input: { n: number }) => {
    const stock = await ctx.step("reserve", () => input.n * 2);
    const how = await ctx.signal("paid");
    await ctx.step("ship", () => stock, { version: "1" });
    return { stock, how };
  });
  const worker = new Worker({ url: server.grpcUrl, workflows: [order], logger: silentLogger });
  const client = new Client({ url: server.grpcUrl, logger: silentLogger });
  await worker.start();
  const ended = await client.start(order, { n: 1 }, { runId: "ended" });
  const waiting = await client.start(order, { n: 2 }, { runId: "waiting" });
  await ended.signal("paid", "card");
  await ended.result({ timeout: "20 s" });
  await vi.waitFor(async () => expect((await waiting.get()).status).toBe("waiting"), patienceMs);
  await worker.stop();
  client.close();
  for (const runId of ["ended", "waiting"] as const) {
    journals[runId] = join(folder, "journals", `${runId}.json`);
    const result = await pawl(["export", runId, "-o", journals[runId]], { url: server.httpUrl });
    expect(result).toMatchObject({ code: EXIT.OK, err: "" });
  }
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Verdict {
  runId: string;
  outcome: string;
  detail: string;
  next: string[];
  unconsumed: string[];
}

/** Replays both journals through this code; returns the verdicts, and what was executed. */
async function replayThrough(
  name: string,
  body: string,
  ...options: readonly string[]
): Promise<{ code: number; verdicts: Verdict[]; ran: string }> {
  const file = join(folder, `${name}.ts`);
  await writeFile(file, `// @ts-nocheck\n${source(body)}`);
  const env = { RAN: join(folder, `${name}.ran`) };
  await writeFile(env.RAN, "");
  const files = [journals.ended, journals.waiting];
  const result = await pawl(["replay", ...files, "--worker", file, "--json", ...options], { env });
  const { replays } = JSON.parse(result.out) as { replays: Verdict[] };
  return { code: result.code, verdicts: replays, ran: await readFile(env.RAN, "utf8") };
}

test.concurrent("the same code fits: one run ends as it did, the other continues to wait", async () => {
  const { code, verdicts, ran } = await replayThrough("same", original);
  expect(code).toBe(EXIT.OK);
  expect(verdicts).toMatchObject([
    { runId: "ended", outcome: "same", detail: "" },
    { runId: "waiting", outcome: "open" },
  ]);
  expect(ran).toBe("");
});

test.concurrent("a file may contain several journals, one in each line; a bad line is named", async () => {
  const several = join(folder, "journals", "several.jsonl");
  const lines = await Promise.all(
    [journals.ended, journals.waiting].map(async (file) =>
      JSON.stringify(JSON.parse(await readFile(file, "utf8"))),
    ),
  );
  await writeFile(several, `${lines.join("\n")}\n`);
  const worker = join(folder, "several.ts");
  await writeFile(worker, `// @ts-nocheck\n${source(original)}`);
  const env = { RAN: join(folder, "several.ran") };
  await writeFile(env.RAN, "");
  const result = await pawl(["replay", several, "--worker", worker, "--json"], { env });
  expect(JSON.parse(result.out)).toMatchObject({
    replays: [
      { runId: "ended", outcome: "same" },
      { runId: "waiting", outcome: "open" },
    ],
  });
  await writeFile(several, `${lines[0]}\n{"run": {}}\n`);
  const bad = await pawl(["replay", several, "--worker", worker], { env });
  expect([bad.code, bad.err]).toEqual([EXIT.USAGE, expect.stringContaining("line 2: it has no")]);
  await writeFile(several, `${lines[0]}\n${lines[0]}\n`);
  const twice = await pawl(["replay", several, "--worker", worker], { env });
  expect([twice.code, twice.err]).toEqual([EXIT.USAGE, expect.stringContaining("given twice")]);
});

test.concurrent("an inserted step is not executed, and has to be told from a renamed one", async () => {
  const body = `await ctx.step("check", () => ran("check", true)); ${original}`;
  const { code, verdicts, ran } = await replayThrough("inserted", body);
  expect(code).toBe(EXIT.RUN_FAILED);
  expect((await replayThrough("inserted-allowed", body, "--allow", "check")).code).toBe(EXIT.OK);
  expect(verdicts).toMatchObject([
    { outcome: "more", next: ["check"] },
    { outcome: "open", next: ["check"], unconsumed: ["reserve"] },
  ]);
  expect(ran).toBe("");
});

test.concurrent("a removed step is named, and has to be allowed", async () => {
  const body = `const stock = input.n * 2; const how = await ctx.signal("paid"); return { stock, how };`;
  const { code, verdicts } = await replayThrough("removed", body);
  expect(code).toBe(EXIT.RUN_FAILED);
  expect(verdicts[0]).toMatchObject({ outcome: "same", unconsumed: ["reserve", "ship"] });
  const allowed = ["--allow", "reserve", "--allow", "ship"];
  expect((await replayThrough("removed-allowed", body, ...allowed)).code).toBe(EXIT.OK);
});

test.concurrent("a renamed step, which would be executed again, does not fit", async () => {
  const { code, verdicts, ran } = await replayThrough(
    "renamed",
    original.replace('"reserve"', '"take from stock"'),
  );
  expect(code).toBe(EXIT.RUN_FAILED);
  expect(verdicts).toMatchObject([
    { outcome: "more", next: ["take from stock"] },
    { outcome: "open", next: ["take from stock"], unconsumed: ["reserve"] },
  ]);
  expect(ran).toBe("");
});

test.concurrent("a step with another definition does not fit, and the verdict says why", async () => {
  const body = original.replace('version: "1"', 'version: "2"');
  const { code, verdicts, ran } = await replayThrough("changed", body);
  expect(code).toBe(EXIT.RUN_FAILED);
  expect(verdicts[0]).toMatchObject({ outcome: "mismatch" });
  expect(verdicts[0]?.detail).toContain("ship");
  expect(verdicts[1]).toMatchObject({ outcome: "open" });
  expect(ran).toBe("");
});

test.concurrent("another result is detected", async () => {
  const { code, verdicts } = await replayThrough(
    "result",
    original.replace("{ stock, how }", "{ stock }"),
  );
  expect(code).toBe(EXIT.RUN_FAILED);
  expect(verdicts).toMatchObject([{ outcome: "different" }, { outcome: "open" }]);
});

test.concurrent("what cannot be replayed is said in words", async () => {
  const broken = join(folder, "broken.ts");
  await writeFile(broken, 'throw new Error("no such module");\n');
  const result = await pawl(["replay", journals.ended, "--worker", broken, "--json"]);
  expect(result.code).toBe(EXIT.REFUSED);
  expect(errorOf(result).message).toContain("no such module");

  const other = join(folder, "other.ts");
  await writeFile(other, source(original).replace('"order"', '"another"'));
  const args = ["replay", journals.ended, "--worker", other, "--timeout", "15s", "--json"];
  const env = { RAN: join(folder, "other.ran") };
  expect(errorOf(await pawl(args, { env })).message).toContain("does not serve the workflow order");

  const wrong = join(folder, "wrong.json");
  await writeFile(wrong, "{}");
  const refused = await pawl(["replay", wrong, "--worker", other, "--json"]);
  expect([refused.code, errorOf(refused).message]).toEqual([
    EXIT.USAGE,
    expect.stringContaining("pawl export"),
  ]);
});
