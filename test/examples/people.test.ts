/**
 * Goal: the examples that wait for people, calls from outside and time lose nothing when their worker
 * dies at the worst moment: something is done, and not yet recorded.
 * Method: one worker serves all of them and is killed with SIGKILL while each run stands at that
 * moment; another one continues. The ledger says what was done how often. Then the demonstrations.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { profile, repair } from "@pawl/examples/data-quality/quality.ts";
import { formatCsv, parseCsv } from "@pawl/examples/data-quality/table.ts";
import { dataQuality } from "@pawl/examples/data-quality/workflow.ts";
import { expense } from "@pawl/examples/expense-approval/workflow.ts";
import { payment } from "@pawl/examples/payment-callback/workflow.ts";
import { reminder } from "@pawl/examples/reminder/workflow.ts";
import { readLedger } from "@pawl/examples/shared/ledger.ts";
import { nextQuestion } from "@pawl/examples/shared/stage.ts";
import { Client, silentLogger, type WaitView } from "@pawl/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Program } from "../first-contact/program.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { sleep } from "../semantics/lab.ts";

const root = join(import.meta.dirname, "..", "..");
const examples = join(root, "examples");

let server: TestServer;
let client: Client;
let dir: string;
const programs: Program[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pawl-people-"));
  server = await startServer();
  client = new Client({ url: server.grpcUrl, logger: silentLogger });
});

afterAll(async () => {
  await Promise.all(programs.map((program) => program[Symbol.asyncDispose]()));
  client?.close();
  await server?.stop();
  await rm(dir, { recursive: true });
});

function program(path: string, env: Record<string, string> = {}): Program {
  const started = new Program(process.execPath, [path], { cwd: root, env });
  programs.push(started);
  return started;
}

async function worker(paceMs: number): Promise<Program> {
  const env = { PAWL_URL: server.grpcUrl, PACE_MS: String(paceMs) };
  const started = program(join(import.meta.dirname, "people-worker.ts"), env);
  await started.waitFor(/is ready/);
  return started;
}

async function question(runId: string): Promise<WaitView> {
  const asked = await nextQuestion(client, runId);
  if (asked === undefined) throw new Error(`${runId} has ended without a question.`);
  return asked;
}

test("killed between what they do and its record, each does it once and continues", async () => {
  const provider = program(join(examples, "payment-callback", "provider.ts"));
  const [providerUrl] = await provider.waitFor(/http:\S+/);
  const first = await worker(600_000);
  const ledger = join(dir, "ledger.jsonl");
  const outbox = join(dir, "outbox.jsonl");
  const output = join(dir, "clean.csv");
  const [paying, cleaning, paid, reminding] = await Promise.all([
    client.start(expense, { id: "E-1", who: "Ada", amount: 5_000, what: "a server", ledger }),
    client.start(dataQuality, {
      ...{ id: "people", output, steward: "grace" },
      file: join(examples, "data-quality", "people.csv"),
    }),
    client.start(payment, { orderId: "A-1", amount: 4_900, provider: providerUrl }),
    client.start(reminder, { id: "plants", text: "Water them", every: "1.1 s", outbox }),
  ]);

  for (const actor of ["manager", "director"]) {
    const asked = await question(paying.runId);
    expect(asked.question?.assignees).toEqual([actor]);
    await client.answer(asked.waitId, true, { actor });
  }
  const round = await question(cleaning.runId);
  expect(round.question?.options.map(({ value }) => value)).toEqual([
    ...["spaces", "duplicates", "outliers:age", "gaps:age", "gaps:city"],
  ]);
  await client.answer(round.waitId, ["spaces", "duplicates", "outliers:age"], { actor: "grace" });
  await Promise.all(
    [/paid Ada/, /round 1: repairing/, /asked for the payment/, /Water them \(1\)/].map((said) =>
      first.waitFor(said),
    ),
  );
  await first.kill("SIGKILL");
  // The provider calls while nobody is there but the server.
  await provider.waitFor(/A-1: called back, 200/);
  await worker(0);

  expect(await paying.result()).toMatchObject({ paid: true, by: ["manager", "director"] });
  expect(await readLedger(ledger)).toEqual(["paid Ada 5000 EUR"]);

  const second = await question(cleaning.runId);
  expect(second.question?.prompt).toMatch(/^Round 2/);
  await client.answer(second.waitId, ["gaps:age", "gaps:city"], { actor: "grace" });
  await client.answer((await question(cleaning.runId)).waitId, true, { actor: "grace" });
  expect(await cleaning.result()).toMatchObject({ rows: 8, written: true, by: "grace" });
  expect(profile(parseCsv(await readFile(output, "utf8")))).toEqual([]);

  expect(await paid.result()).toEqual({ orderId: "A-1", paid: true, receipt: "A-1: paid-A-1" });
  expect(provider.output.match(/A-1: taken/g)).toHaveLength(1);

  while ((await readLedger(outbox)).length < 2) await sleep(30);
  await reminding.signal("done");
  expect(await reminding.result()).toMatchObject({ done: true });
  expect((await readLedger(outbox)).slice(0, 2)).toEqual(["Water them (1)", "Water them (2)"]);
  for (const { runId } of [paying, cleaning, paid, reminding])
    expect((await client.waits({ runId })).waits).toEqual([]);
});

test("the demonstrations run, and tell what they show", async () => {
  const says = {
    "expense-approval": /director: Pay Ada 20000 EUR for a sculpture\? No.*paid: false/s,
    "data-quality": /Round 2: what.*written: true.*Donald,38.5,London/s,
    "payment-callback": /orderId: 'A-1', paid: true.*orderId: 'A-2', paid: false/s,
    reminder: /reminder-plants \{ sent: \d, done: true \}.*sent: 3, done: false/s,
  };
  const demos = Object.entries(says).map(([name, shown]) => ({
    shown,
    demo: program(join(examples, name, "demo.ts")),
  }));
  // All of them end, with the processes that they started, before any of them is judged.
  const codes = await Promise.all(demos.map(({ demo }) => demo.end()));
  for (const [i, { shown, demo }] of demos.entries())
    expect([codes[i], demo.output]).toEqual([0, expect.stringMatching(shown)]);
});

test("tables survive reading and writing, and repairs repair", async () => {
  const text = 'a,b\n"x, ""y""",1\n"two\nlines",\n';
  const table = parseCsv(text);
  expect(table.rows).toEqual([
    ['x, "y"', "1"],
    ["two\nlines", ""],
  ]);
  expect(formatCsv(table)).toBe(text);
  expect(parseCsv("a\r\n1\r\n")).toEqual({ columns: ["a"], rows: [["1"]] });
  expect(profile(repair(table, ["gaps:b"]))).toEqual([]);
  expect(profile({ columns: [], rows: [] })).toEqual([]);
});
