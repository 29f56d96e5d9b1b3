/**
 * Goal: a second copy of the SDK in one process, and values of another realm, work as one's own.
 * Method: the sources are copied and loaded a second time; values come from `node:vm`.
 */
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as own from "../src/index.ts";
import { run, thrown } from "./support/local.ts";

const packageFolder = join(import.meta.dirname, "..");
let folder: string;
let copy: typeof own;

beforeAll(async () => {
  // Below the package, so that it finds the same dependencies.
  const parent = join(packageFolder, "node_modules", ".cache");
  await mkdir(parent, { recursive: true });
  folder = await mkdtemp(join(parent, "copy-"));
  await cp(join(packageFolder, "src"), join(folder, "src"), { recursive: true });
  copy = (await import(join(folder, "src", "index.ts"))) as typeof own;
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("a second copy of the SDK", () => {
  test("is one", () => {
    expect(copy.TerminalError).not.toBe(own.TerminalError);
  });

  test("says by its errors what is final, and when to try again", async () => {
    let attempts = 0;
    const retry = { maxAttempts: 3, backoff: own.constant(0) };
    class Refused extends copy.TerminalError {}
    for (const Final of [copy.TerminalError, Refused]) {
      attempts = 0;
      const fail = () => {
        attempts += 1;
        throw new Final("no");
      };
      await thrown(() => run((ctx) => ctx.step("s", fail, { retry })));
      expect(attempts).toBe(1);
    }
    const began = Date.now();
    await own.runLocally(
      own.workflow("w", (ctx) =>
        ctx.step(
          "s",
          (s) => {
            if (s.attempt === 1) throw new copy.RetryableError("busy", { retryAfter: 300 });
          },
          { retry },
        ),
      ),
      undefined,
    );
    expect(Date.now() - began).toBeGreaterThan(250);
  });

  test("has classes that are the same to instanceof, and subclasses of the user's that are not", async () => {
    const error = await thrown(() => run((ctx) => ctx.step("s", () => Promise.reject("no"))));
    expect(error).toBeInstanceOf(copy.StepFailedError);
    expect(new copy.UsageError("x")).toBeInstanceOf(own.TerminalError);
    expect(new copy.WaitTimeoutError("x", "k")).toBeInstanceOf(own.WaitTimeoutError);
    expect(new copy.TerminalError("x")).not.toBeInstanceOf(own.UsageError);
    class Mine extends own.TerminalError {}
    expect(new copy.TerminalError("x")).not.toBeInstanceOf(Mine);
    expect(new Mine("x")).toBeInstanceOf(Mine);
    expect({}).not.toBeInstanceOf(own.TerminalError);
  });

  test("shares the current run: its steps are recorded, its events and agents are known", async () => {
    const keys: unknown[] = [];
    const theirs = copy.step("theirs", async (x: number) => {
      keys.push((copy.current() as own.StepContext).stepKey);
      return x + 1;
    });
    const seen = await run(async (ctx) => [
      await theirs(4),
      await ctx.step(theirs, 3),
      await ctx.step("stream", async function* () {
        yield copy.event("own", 1);
        yield "text";
      }),
      await ctx.step("agent", () => copy.agent("a", async () => ({ ok: true }))()),
      await ctx.child(
        copy.workflow("kid", async () => "kid"),
        undefined,
      ),
    ]);
    expect(seen).toEqual([5, 4, "text", { ok: true }, "kid"]);
    expect(keys).toEqual(["theirs", "theirs#2"]);
  });
});

describe("another realm", () => {
  const foreign = (code: string): unknown => runInNewContext(code);

  test("its values are recorded, and its errors keep their text", async () => {
    expect(await run((ctx) => ctx.step("s", () => foreign("({ a: [1, new Date(5)] })")))).toEqual({
      a: [1, new Date(5)],
    });
    expect(
      await run((ctx) => ctx.step("s", (x: unknown) => x, [foreign("new Map([[1, 2]])")])),
    ).toEqual(new Map([[1, 2]]));
    const error = await thrown(() =>
      run((ctx) =>
        ctx.step("s", () => {
          throw foreign("Object.assign(new RangeError('far'), { details: { n: 1 } })");
        }),
      ),
    );
    expect(error).toMatchObject({ type: "RangeError", message: "far", details: { n: 1 } });
  });

  test("its promises and generators are awaited", async () => {
    expect(await run((ctx) => ctx.step("s", () => foreign("Promise.resolve(5)")))).toBe(5);
    const items = "(async function* () { yield 'a'; yield 'b'; })()";
    expect(await run((ctx) => ctx.step("s", () => foreign(items)))).toBe("ab");
  });
});
