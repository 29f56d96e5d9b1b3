/** Random workflows for the simulated world: programs as data, and the workflow that executes them. */
import { type Context, TerminalError, type Workflow, workflow } from "@pawl/worker";
import type { Chance } from "./world.ts";

export type Op =
  | { readonly op: "step"; readonly name: string; readonly ms: number; readonly fails: number }
  | { readonly op: "stream"; readonly name: string; readonly ms: number; readonly chunks: number }
  | { readonly op: "say"; readonly text: string }
  | { readonly op: "sleep"; readonly name: string; readonly ms: number }
  | { readonly op: "signal"; readonly name: string; readonly timeoutMs: number }
  | { readonly op: "ask"; readonly question: string; readonly timeoutMs: number }
  | { readonly op: "race" | "all"; readonly branches: readonly Program[] }
  | { readonly op: "child"; readonly program: Program }
  | { readonly op: "compensate"; readonly name: string }
  | { readonly op: "guard"; readonly body: Program; readonly last: string }
  | { readonly op: "throw"; readonly message: string };

export type Program = readonly Op[];

/** What the code of the runs did, as it happened. */
export interface Effects {
  /** The body of a step begins. */
  begun(runId: string, key: string, attempt: number): void;
  ended(runId: string, key: string, attempt: number): void;
}

/** Names are used once in a program, so that a key is the name and its scopes. */
class Names {
  #count = 0;

  next(prefix: string): string {
    this.#count += 1;
    return `${prefix}${this.#count}`;
  }
}

export function randomProgram(chance: Chance): Program {
  const names = new Names();
  const program = block(chance, names, chance.int(2, 6), 2);
  return chance.hits(0.15)
    ? [...program, { op: "throw", message: "the program ends this way" }]
    : program;
}

function block(chance: Chance, names: Names, length: number, depth: number): Op[] {
  return Array.from({ length }, () => op(chance, names, depth));
}

function op(chance: Chance, names: Names, depth: number): Op {
  const dice = chance.next();
  if (dice < 0.24) {
    const fails = chance.hits(0.2) ? chance.int(1, 2) : 0;
    return { op: "step", name: names.next("s"), ms: briefly(chance), fails };
  }
  if (dice < 0.36)
    return { op: "stream", name: names.next("t"), ms: briefly(chance), chunks: chance.int(1, 8) };
  if (dice < 0.4) return { op: "say", text: names.next("note") };
  if (dice < 0.47) return { op: "sleep", name: names.next("z"), ms: chance.int(1, 3_000) };
  if (dice < 0.6) {
    const timeoutMs = chance.hits(0.4) ? chance.int(200, 5_000) : 0;
    return { op: "signal", name: names.next("g"), timeoutMs };
  }
  if (dice < 0.67) {
    const timeoutMs = chance.hits(0.4) ? chance.int(200, 5_000) : 0;
    return { op: "ask", question: names.next("q"), timeoutMs };
  }
  if (dice < 0.72) return { op: "compensate", name: names.next("c") };
  if (depth === 0) return { op: "step", name: names.next("s"), ms: briefly(chance), fails: 0 };
  if (dice < 0.86) {
    const branches = Array.from({ length: chance.int(2, 3) }, () =>
      block(chance, names, chance.int(1, 2), depth - 1),
    );
    return { op: chance.hits(0.6) ? "race" : "all", branches };
  }
  if (dice < 0.94) {
    const body = block(chance, names, chance.int(1, 2), depth - 1);
    return { op: "guard", body, last: names.next("f") };
  }
  return { op: "child", program: block(chance, new Names(), chance.int(1, 3), 0) };
}

/** Mostly short, at times longer than it takes for a start to be written or a lease to be given away. */
function briefly(chance: Chance): number {
  return chance.hits(0.1) ? chance.int(500, 4_000) : chance.int(1, 150);
}

/** How many waits of a kind the program may come to; what is sent for them is enough. */
export function waitsOf(program: Program): { signals: string[]; questions: string[] } {
  const signals: string[] = [];
  const questions: string[] = [];
  const visit = (ops: Program): void => {
    for (const one of ops) {
      if (one.op === "signal") signals.push(one.name);
      if (one.op === "ask") questions.push(one.question);
      if (one.op === "race" || one.op === "all") one.branches.forEach(visit);
      if (one.op === "guard") visit(one.body);
    }
  };
  visit(program);
  return { signals, questions };
}

/** The workflows `plain`, and `narrow`, which has a limit. */
export function workflowsOf(effects: Effects): {
  plain: Workflow<Program, unknown>;
  narrow: Workflow<Program, unknown>;
} {
  const plain: Workflow<Program, unknown> = workflow("plain", (ctx, program: Program) =>
    execute(ctx, program),
  );
  const narrow = workflow("narrow", { concurrency: NARROW_LIMIT }, (ctx, program: Program) =>
    execute(ctx, program),
  );

  async function execute(ctx: Context, program: Program): Promise<string> {
    const results: string[] = [];
    for (const one of program) results.push(await perform(ctx, one));
    return results.join(",");
  }

  async function perform(ctx: Context, one: Op): Promise<string> {
    switch (one.op) {
      case "step":
        return ctx.step(
          one.name,
          async (s) => {
            effects.begun(ctx.runId, s.stepKey, s.attempt);
            await pause(one.ms, s.abortSignal);
            if (s.attempt <= one.fails) throw new Error(`${one.name} fails`);
            effects.ended(ctx.runId, s.stepKey, s.attempt);
            return one.name;
          },
          { retry: { maxAttempts: 100, backoff: [20, 3_000, 20] } },
        );
      case "stream":
        return ctx.step(one.name, async function* (s) {
          effects.begun(ctx.runId, s.stepKey, s.attempt);
          for (let i = 0; i < one.chunks; i += 1) {
            yield `${one.name}.${i};`;
            if (i % 2 === 0) await pause(one.ms / one.chunks, s.abortSignal);
          }
          effects.ended(ctx.runId, s.stepKey, s.attempt);
        });
      case "say":
        ctx.emit("note", one.text);
        return "";
      case "sleep":
        await ctx.sleep(one.ms, { name: one.name });
        return one.name;
      case "signal": {
        const wait = one.timeoutMs > 0 ? { timeout: one.timeoutMs, default: "late" } : {};
        return String(await ctx.signal(one.name, wait));
      }
      case "ask": {
        const wait = one.timeoutMs > 0 ? { timeout: one.timeoutMs, default: "late" } : {};
        return String(await ctx.waitForUser(one.question, wait));
      }
      case "race": {
        const branches = one.branches.map(
          (b, i) => async (c: Context) => `${i}:${await execute(c, b)}`,
        );
        return String(await ctx.race(branches));
      }
      case "all": {
        const branches = one.branches.map((b) => (c: Context) => execute(c, b));
        return (await ctx.all(branches)).join("+");
      }
      case "child":
        return String(await ctx.child(plain, one.program));
      case "compensate":
        ctx.compensate(one.name, async (s) => {
          effects.begun(ctx.runId, s.stepKey, s.attempt);
          await pause(20);
          effects.ended(ctx.runId, s.stepKey, s.attempt);
        });
        return "";
      case "guard":
        try {
          return await execute(ctx, one.body);
        } finally {
          await ctx.step(one.last, async (s) => {
            effects.begun(ctx.runId, s.stepKey, s.attempt);
            await pause(5);
            effects.ended(ctx.runId, s.stepKey, s.attempt);
          });
        }
      case "throw":
        throw new TerminalError(one.message);
    }
  }
  return { plain, narrow };
}

/** Ends early, with the signal's reason, when it aborts. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** How many runs of `narrow` may be under way at once. */
export const NARROW_LIMIT = 3;
