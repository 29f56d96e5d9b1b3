/** Random workflows for the simulated world: programs as data, and the workflow that executes them. */
import {
  type Context,
  type StepContext,
  type StepOptions,
  TerminalError,
  type Workflow,
  workflow,
} from "@pawl/worker";
import { type Character, draw } from "./character.ts";
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
  /** In the background; with `awaits` its result is waited for, with `abandon` it outlives its parent. */
  | {
      readonly op: "spawn";
      readonly program: Program;
      readonly awaits: boolean;
      readonly abandon: boolean;
    }
  /** A step that is executed once at most, unless somebody decides otherwise. */
  | { readonly op: "once"; readonly name: string; readonly ms: number }
  /** A step that pauses its run when it has failed twice. */
  | { readonly op: "stubborn"; readonly name: string; readonly fails: number }
  /** A step whose attempts have a limit of time. */
  | {
      readonly op: "brief";
      readonly name: string;
      readonly ms: number;
      readonly timeoutMs: number;
    }
  /** A step that takes its worker down, some times. */
  | { readonly op: "deadly"; readonly name: string; readonly deaths: number }
  | { readonly op: "vote"; readonly question: string; readonly timeoutMs: number }
  | { readonly op: "callback"; readonly name: string; readonly timeoutMs: number }
  | { readonly op: "compensate"; readonly name: string }
  | { readonly op: "guard"; readonly body: Program; readonly last: string }
  | { readonly op: "throw"; readonly message: string };

export type Program = readonly Op[];

/** What the code of the runs did, as it happened. */
export interface Effects {
  /** The body of a step begins. */
  begun(runId: string, key: string, attempt: number): void;
  /** The code was given a signal, whose payload is its id. */
  took(runId: string, signalId: string): void;
  /** The process in which the code runs dies. */
  die(): void;
}

/** Names are used once in a program, so that a key is the name and its scopes. */
class Names {
  #count = 0;

  next(prefix: string): string {
    this.#count += 1;
    return `${prefix}${this.#count}`;
  }
}

export function randomProgram(chance: Chance, character: Character): Program {
  const program = new Author(chance, character).block(chance.int(...character.length), 2);
  return chance.hits(0.15)
    ? [...program, { op: "throw", message: "the program ends this way" }]
    : program;
}

/** How the names of steps begin that are executed once at most. */
export const ONCE = "once";

/** Writes one program. */
class Author {
  readonly #chance: Chance;
  readonly #character: Character;
  readonly #names = new Names();

  constructor(chance: Chance, character: Character) {
    this.#chance = chance;
    this.#character = character;
  }

  block(length: number, depth: number): Op[] {
    return Array.from({ length }, () => this.#op(depth));
  }

  #op(depth: number): Op {
    const chance = this.#chance;
    const kind = draw(chance, this.#character.ops) ?? "step";
    switch (kind) {
      case "stream":
        return { op: kind, name: this.#name("t"), ms: this.#briefly(), chunks: chance.int(1, 8) };
      case "say":
        return { op: kind, text: this.#name("note") };
      case "sleep":
        return { op: kind, name: this.#name("z"), ms: chance.int(1, 3_000) };
      case "signal":
        return { op: kind, name: this.#name("g"), timeoutMs: this.#timeout() };
      case "ask":
        return { op: kind, question: this.#name("q"), timeoutMs: this.#timeout() };
      case "compensate":
        return { op: kind, name: this.#name("c") };
      case "once":
        return { op: kind, name: this.#name(ONCE), ms: this.#briefly() };
      case "stubborn":
        return { op: kind, name: this.#name("b"), fails: chance.int(1, 3) };
      case "brief":
        return {
          op: kind,
          name: this.#name("l"),
          ms: this.#briefly(),
          timeoutMs: chance.int(50, 1_000),
        };
      case "deadly":
        return { op: kind, name: this.#name("d"), deaths: chance.int(1, 4) };
      case "vote":
        return { op: kind, question: this.#name("v"), timeoutMs: this.#timeout() };
      case "callback":
        return { op: kind, name: this.#name("k"), timeoutMs: this.#timeout() };
      default:
        return kind === "step" || depth === 0 ? this.#step() : this.#nested(kind, depth - 1);
    }
  }

  #step(): Op {
    const chance = this.#chance;
    const fails = chance.hits(0.2) ? chance.int(1, 2) : 0;
    return { op: "step", name: this.#name("s"), ms: this.#briefly(), fails };
  }

  #nested(kind: "race" | "all" | "guard" | "child" | "spawn", depth: number): Op {
    const chance = this.#chance;
    if (kind === "guard")
      return { op: kind, body: this.block(chance.int(1, 2), depth), last: this.#name("f") };
    if (kind === "child" || kind === "spawn") {
      const program = new Author(chance, this.#character).block(chance.int(1, 3), 0);
      if (kind === "child") return { op: kind, program };
      return { op: kind, program, awaits: chance.hits(0.5), abandon: chance.hits(0.3) };
    }
    const branches = Array.from({ length: chance.int(2, 3) }, () =>
      this.block(chance.int(1, 2), depth),
    );
    return { op: kind, branches };
  }

  #name(prefix: string): string {
    return this.#names.next(prefix);
  }

  #briefly(): number {
    const chance = this.#chance;
    const { bodyMs, longBodies } = this.#character;
    return chance.hits(longBodies) ? chance.int(500, 4_000) : chance.int(1, bodyMs);
  }

  /** None, one for which a worker keeps the run, or one for which it gives it back. */
  #timeout(): number {
    const chance = this.#chance;
    if (!chance.hits(this.#character.timeouts)) return 0;
    const isShort = chance.hits(this.#character.shortTimeouts);
    return isShort ? chance.int(300, 950) : chance.int(1_000, 5_000);
  }
}

/** The waits that the program may come to: the names of signals, and the keys of what is answered. */
export function waitsOf(program: Program): { signals: string[]; questions: string[] } {
  const signals: string[] = [];
  const questions: string[] = [];
  const visit = (ops: Program): void => {
    for (const one of ops) {
      if (one.op === "signal") signals.push(one.name);
      if (one.op === "ask" || one.op === "vote") questions.push(`user:${one.question}`);
      if (one.op === "callback") questions.push(`callback:${one.name}`);
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
    new Interpreter(effects, plain).execute(ctx, program),
  );
  const narrow = workflow("narrow", { concurrency: NARROW_LIMIT }, (ctx, program: Program) =>
    new Interpreter(effects, plain).execute(ctx, program),
  );
  return { plain, narrow };
}

/** Executes programs; what they return says which way they went. */
class Interpreter {
  readonly #effects: Effects;
  readonly #child: Workflow<Program, unknown>;

  constructor(effects: Effects, child: Workflow<Program, unknown>) {
    this.#effects = effects;
    this.#child = child;
  }

  async execute(ctx: Context, program: Program): Promise<string> {
    const results: string[] = [];
    for (const one of program) results.push(await this.#perform(ctx, one));
    return results.join(",");
  }

  async #perform(ctx: Context, one: Op): Promise<string> {
    switch (one.op) {
      case "step":
        return this.#step(ctx, one.name, one.ms, one.fails);
      case "stream":
        return this.#stream(ctx, one.name, one.ms, one.chunks);
      case "say":
        ctx.emit("note", one.text);
        return "";
      case "sleep":
        await ctx.sleep(one.ms, { name: one.name });
        return one.name;
      case "signal":
        return this.#signal(ctx, one.name, one.timeoutMs);
      case "ask":
        return String(await ctx.waitForUser(one.question, limited(one.timeoutMs)));
      case "race":
        return String(await ctx.race(this.#branches(one.branches)));
      case "all":
        return (await ctx.all(this.#branches(one.branches))).join("+");
      case "child":
        return String(await ctx.child(this.#child, one.program));
      case "spawn":
        return this.#spawn(ctx, one.program, one.awaits, one.abandon);
      case "once":
        await ctx.step(one.name, (s) => this.#do(s, one.ms), { recovery: "at_most_once" });
        return one.name;
      case "stubborn":
        return this.#failing(ctx, one.name, 5, one.fails, {
          retry: { maxAttempts: 2, backoff: [20], onExhausted: "pause" },
        });
      case "brief":
        return this.#brief(ctx, one.name, one.ms, one.timeoutMs);
      case "deadly":
        return this.#deadly(ctx, one.name, one.deaths);
      case "vote":
        return this.#vote(ctx, one.question, one.timeoutMs);
      case "callback":
        return String(await (await ctx.callback(one.name, limited(one.timeoutMs))).result());
      case "compensate":
        ctx.compensate(one.name, (s) => this.#do(s, 20));
        return "";
      case "guard":
        try {
          return await this.execute(ctx, one.body);
        } finally {
          await ctx.step(one.last, (s) => this.#do(s, 5));
        }
      case "throw":
        throw new TerminalError(one.message);
    }
  }

  /** A body: it says that it begins, and takes its time. */
  async #do(s: StepContext, ms: number): Promise<void> {
    this.#effects.begun(s.runId, s.stepKey, s.attempt);
    await pause(ms, s.abortSignal);
  }

  async #signal(ctx: Context, name: string, timeoutMs: number): Promise<string> {
    const signalId = String(await ctx.signal(name, limited(timeoutMs)));
    this.#effects.took(ctx.runId, signalId);
    return signalId;
  }

  #step(ctx: Context, name: string, ms: number, fails: number): Promise<string> {
    return this.#failing(ctx, name, ms, fails, {
      retry: { maxAttempts: 100, backoff: [20, 3_000, 20] },
    });
  }

  #failing(
    ctx: Context,
    name: string,
    ms: number,
    fails: number,
    options: StepOptions,
  ): Promise<string> {
    const body = async (s: StepContext): Promise<string> => {
      await this.#do(s, ms);
      if (s.attempt <= fails) throw new Error(`${name} fails`);
      return name;
    };
    return ctx.step(name, body, options);
  }

  /** A body that is late pays no heed to its signal at first. */
  #brief(ctx: Context, name: string, ms: number, timeoutMs: number): Promise<string> {
    const body = async (s: StepContext): Promise<string> => {
      this.#effects.begun(s.runId, s.stepKey, s.attempt);
      await pause(s.attempt === 1 ? ms : 1);
      return name;
    };
    return ctx.step(name, body, { timeout: timeoutMs, retry: { maxAttempts: 100, backoff: [20] } });
  }

  #deadly(ctx: Context, name: string, deaths: number): Promise<string> {
    return ctx.step(name, async (s) => {
      await this.#do(s, 5);
      if (s.attempt <= deaths) {
        this.#effects.die();
        await new Promise(() => undefined);
      }
      return name;
    });
  }

  async #vote(ctx: Context, question: string, timeoutMs: number): Promise<string> {
    const limit = timeoutMs > 0 ? { timeout: timeoutMs, default: false } : {};
    const answer = await ctx.waitForUser(question, {
      type: "approval",
      needed: 2,
      skippable: true,
      reminders: [200, 900],
      ...limit,
    });
    return typeof answer === "object" ? String(answer.approved) : String(answer);
  }

  async #spawn(ctx: Context, program: Program, awaits: boolean, abandon: boolean): Promise<string> {
    const options = abandon ? ({ parentClose: "abandon" } as const) : {};
    const child = await ctx.spawn(this.#child, program, options);
    return awaits ? String(await child.result()) : "";
  }

  #stream(ctx: Context, name: string, ms: number, chunks: number): Promise<string> {
    const begin = (s: StepContext) => this.#do(s, 1);
    return ctx.step(name, async function* (s) {
      await begin(s);
      for (let i = 0; i < chunks; i += 1) {
        yield `${name}.${i};`;
        if (i % 2 === 0) await pause(ms / chunks, s.abortSignal);
      }
    });
  }

  #branches(programs: readonly Program[]) {
    return programs.map(
      (program, i) => async (ctx: Context) => `${i}:${await this.execute(ctx, program)}`,
    );
  }
}

function limited(timeoutMs: number): { timeout?: number; default?: string } {
  return timeoutMs > 0 ? { timeout: timeoutMs, default: "late" } : {};
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
