/**
 * Goal: the command line does what its help says, for people and for programs.
 * Method: the real program against a real server and a real worker, from start to delete.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT } from "@pawl/server/internal";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer, withoutPawl } from "../harness/server.ts";
import { errorOf, pawl } from "./cli.ts";

let folder: string;
let server: TestServer;
let stopWorker: () => Promise<void>;
const cli = (...args: string[]) => pawl(args, { url: server.httpUrl, cwd: folder });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pawl-cli-"));
  server = await startServer();
  const worker = spawn(process.execPath, [join(import.meta.dirname, "worker.ts")], {
    env: { ...withoutPawl(process.env), PAWL_URL: server.grpcUrl },
    stdio: "inherit",
  });
  const ended = once(worker, "exit");
  stopWorker = async () => {
    worker.kill("SIGTERM");
    await ended;
  };
  const listed = async () => (await cli("workflows", "--json")).out;
  await expectEventually(listed, (out) => out.includes('"approve"'));
});

afterAll(async () => {
  await stopWorker?.();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Asks until the answer is right; the test's own time limit ends it. */
async function expectEventually<T>(ask: () => Promise<T>, right: (answer: T) => boolean) {
  for (let answer = await ask(); !right(answer); answer = await ask()) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function stateOf(id: string): Promise<string> {
  const { run } = JSON.parse((await cli("status", id, "--json")).out) as {
    run: { status: string };
  };
  return run.status.toUpperCase();
}

describe("run", () => {
  test("--wait prints the result alone, and notes beside it", async () => {
    const result = await cli("run", "greet", "--input", '{"name":"you"}', "--id", "g1", "--wait");
    expect(result.code).toBe(EXIT.OK);
    expect(JSON.parse(result.out)).toEqual({ greeting: "Hello, you!", length: 11 });
    expect(result.err).toMatch(/COMPLETED in/);
  });

  test("without --wait prints the id; again, it says that it is there", async () => {
    const first = await cli(
      "run",
      "greet",
      "--input",
      '{"name":"a"}',
      "--id",
      "g2",
      "--tag",
      "x=1",
    );
    expect([first.code, first.out]).toEqual([EXIT.OK, "g2\n"]);
    const again = await cli(
      "run",
      "greet",
      "--input",
      '{"name":"a"}',
      "--id",
      "g2",
      "--tag",
      "x=1",
    );
    expect([again.code, again.err]).toEqual([EXIT.OK, expect.stringContaining("already exists (")]);
    const other = await cli("run", "greet", "--input", '{"name":"b"}', "--id", "g2", "--json");
    expect([other.code, errorOf(other).reason]).toEqual([EXIT.REFUSED, "RUN_EXISTS"]);
  });

  test("limits and times of the start; what does not fit is said", async () => {
    const once = ["run", "greet", "--rate", "1/1h", "--rate-key", "{name}", "--timeout", "1h"];
    const lines = [];
    for (const id of ["limited1", "limited2"]) {
      await cli(...once, "--id", id, "--input", '{"name":"limited"}', "--concurrency", "2");
      lines.push((await cli("status", id)).out);
    }
    expect(lines[1]).toContain("RATE_LIMIT");
    const joined = ["run", "greet", "--debounce", "k", "--debounce-for", "1h", "--json"];
    const ids = [];
    for (const input of ['{"name":"x"}', '{"name":"y"}'])
      ids.push(JSON.parse((await cli(...joined, "--input", input)).out).run.runId);
    expect(ids[1]).toBe(ids[0]);
    for (const [wrong, said] of [
      [["--rate", "5"], "N/DURATION"],
      [["--rate-key", "k"], "requires --rate"],
      [["--debounce", "k"], "requires --debounce-for"],
      [["--delay", "soon"], "30s"],
    ] as const) {
      const refused = await cli("run", "greet", ...wrong);
      expect([refused.code, refused.err]).toEqual([EXIT.USAGE, expect.stringContaining(said)]);
    }
  });

  test("takes its input from a file or from standard input", async () => {
    await writeFile(join(folder, "input.json"), '{"name": "file"}');
    const file = await cli("run", "greet", "--file", "input.json", "--wait", "--json");
    expect(JSON.parse(file.out).run.output.greeting).toBe("Hello, file!");
    const options = { url: server.httpUrl, input: '{"name": "pipe"}' };
    const piped = await pawl(["run", "greet", "--file", "-", "--wait"], options);
    expect(JSON.parse(piped.out).greeting).toBe("Hello, pipe!");
  });

  test("an unknown workflow lists the known ones", async () => {
    const result = await cli("run", "great");
    expect(result.code).toBe(EXIT.NOT_FOUND);
    expect(result.err).toMatch(/great.*approve.*greet/s);
  });

  test("a run that fails exits with 1; retry continues from its failed step", async () => {
    const file = join(folder, "needed.txt");
    const input = JSON.stringify({ file });
    const failed = await cli("run", "needs", "--input", input, "--id", "n1", "--wait");
    expect([failed.code, failed.out]).toEqual([EXIT.RUN_FAILED, ""]);
    expect(failed.err).toMatch(/FAILED.*there is no.*pawl retry n1/s);
    expect((await cli("list", "--workflow", "needs")).out).toMatch(/FAILED.*there is no/);
    await writeFile(file, "");
    expect((await cli("retry", "n1")).code).toBe(EXIT.OK);
    await expectEventually(
      () => stateOf("n1"),
      (state) => state === "COMPLETED",
    );
    const drawn = await cli("inspect", "n1");
    expect(drawn.out).toMatch(/look.*2 attempts/);
    expect(drawn.out).toContain("retried from its failed step");
  });
});

describe("looking", () => {
  test("status and list show runs, and filter them", async () => {
    const status = await cli("status", "g1");
    expect(status.out).toMatch(/g1[\s\S]*status\s+COMPLETED[\s\S]*workflow\s+greet/);
    const tagged = await cli("list", "--tag", "x=1", "--json");
    expect(JSON.parse(tagged.out).runs.map((run: { runId: string }) => run.runId)).toEqual(["g2"]);
    const ended = await cli("list", "--status", "completed", "--workflow", "greet", "--limit", "1");
    expect(ended.out.trim().split("\n")).toHaveLength(2);
    expect(ended.err).toContain("There are more");
    expect((await cli("list", "--workflow", "nothing")).err).toContain("No runs match");
  });

  test("inspect draws within 80 columns, without colours where it is not a terminal", async () => {
    const options = { url: server.httpUrl, env: { COLUMNS: "80" } };
    const { out, code } = await pawl(["inspect", "g1"], options);
    expect(code).toBe(EXIT.OK);
    expect(out).toMatch(/compose +█+.*cli-worker/);
    expect(out).toMatch(/breath +░+/);
    expect(out).toMatch(/output +\{"greeting":"Hello, you!"/);
    expect(out).not.toContain("\u001b");
    for (const line of out.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test("inspect --verbose adds the journal; --json is run and journal", async () => {
    const verbose = await cli("inspect", "g1", "--verbose");
    expect(verbose.out).toMatch(/run\.started.*"name":"you"/);
    expect(verbose.out).toMatch(/step\.completed +measure.*11/);
    const { run, entries } = JSON.parse((await cli("inspect", "g1", "--json")).out);
    expect(run.runId).toBe("g1");
    expect(entries.map((entry: { seq: number }) => entry.seq)).toEqual(
      Array.from({ length: entries.length }, (_, index) => index + 1),
    );
  });

  test("events shows entries by level and number", async () => {
    const all = await cli("events", "n1");
    expect(all.out).toMatch(/ERROR +step\.failed +look.*there is no/);
    const last = await cli("events", "n1", "-n", "1");
    expect(last.out.trim().split("\n")).toHaveLength(1);
    expect(last.out).toContain("run.completed");
    const errors = await cli("events", "n1", "-l", "error");
    expect(
      errors.out
        .trim()
        .split("\n")
        .every((line) => line.includes("ERROR")),
    ).toBe(true);
    const wrong = await cli("events", "n1", "-l", "loud");
    expect([wrong.code, wrong.err]).toEqual([EXIT.USAGE, expect.stringContaining("debug, info")]);
  });

  test("events --follow ends with the run", async () => {
    await cli("run", "approve", "--id", "follow-1");
    const following = cli("events", "follow-1", "--follow", "--json");
    await cli("signal", "follow-1", "answer", "--data", '"yes"');
    const types = (await following).out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).type);
    expect(types[0]).toBe("run.started");
    expect(types.at(-1)).toBe("run.completed");
  });

  test("workers and workflows show who is there", async () => {
    expect((await cli("workers")).out).toMatch(/cli-worker +connected/);
    expect((await cli("workflows")).out).toMatch(/greet +.*cli-worker/);
  });
});

describe("steering", () => {
  test("a signal answers the wait", async () => {
    await cli("run", "approve", "--id", "s1");
    const sent = await cli("signal", "s1", "answer", "--data", '{"ok":true}', "--signal-id", "a");
    expect([sent.code, sent.err]).toEqual([EXIT.OK, expect.stringContaining("Sent as signal a")]);
    const again = await cli("signal", "s1", "answer", "--data", '{"ok":true}', "--signal-id", "a");
    // The run may have ended meanwhile, which the second signal is then told.
    expect([EXIT.OK, EXIT.REFUSED]).toContain(again.code);
    await expectEventually(
      () => stateOf("s1"),
      (state) => state === "COMPLETED",
    );
  });

  test("pause, resume, cancel and delete, each once it is legal", async () => {
    await cli("run", "long", "--id", "l1");
    await expectEventually(
      () => stateOf("l1"),
      (state) => state === "RUNNING",
    );
    expect((await cli("pause", "l1", "--reason", "lunch")).code).toBe(EXIT.OK);
    await expectEventually(
      () => stateOf("l1"),
      (state) => state === "PAUSED",
    );
    expect((await cli("status", "l1")).out).toContain("PAUSED_BY_OPERATOR");
    const waited = await cli("run", "long", "--id", "l1", "--wait");
    expect([waited.code, waited.err]).toEqual([EXIT.RUN_FAILED, expect.stringContaining("PAUSED")]);
    expect((await cli("resume", "l1")).code).toBe(EXIT.OK);
    await expectEventually(
      () => stateOf("l1"),
      (state) => state === "RUNNING",
    );
    const early = await cli("delete", "l1", "--json");
    expect([early.code, errorOf(early).reason]).toEqual([EXIT.REFUSED, "ILLEGAL_TRANSITION"]);
    expect((await cli("cancel", "l1", "--grace", "5 s")).code).toBe(EXIT.OK);
    await expectEventually(
      () => stateOf("l1"),
      (state) => state === "CANCELLED",
    );
    expect((await cli("delete", "l1")).code).toBe(EXIT.OK);
    expect((await cli("status", "l1")).code).toBe(EXIT.NOT_FOUND);
  });
});
