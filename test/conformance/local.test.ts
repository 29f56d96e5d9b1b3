/**
 * Goal: `runLocally` of the TypeScript SDK keeps the promises that need no server, as a server and worker do.
 * Method: the same cases, with signals, answers and posts prepared; notLocal lists those that do not apply.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runLocally, type Workflow, workflow } from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { failureOf } from "../../worker-sdk/typescript/conformance/errors.ts";
import { type Input, runProgram } from "../../worker-sdk/typescript/conformance/interpreter.ts";
import { compareEffects } from "./effects.ts";
import { type Action, type ConformanceCase, readCases } from "./schema.ts";

const uses = (text: string) => (one: ConformanceCase) =>
  JSON.stringify(one.programs).includes(text);
const acts = (name: string) => (one: ConformanceCase) =>
  one.actions.some((action) => name in action);

/** Why a case does not apply: a local run is in one process, keeps nothing, and has no operator. */
const notLocal: readonly (readonly [why: string, applies: (one: ConformanceCase) => boolean])[] = [
  ["it has several deploys", ({ programs }) => programs.length > 1],
  ["it has workers of several SDKs", ({ needs }) => needs.length > 0],
  ["it has a server of its own", ({ future }) => future !== undefined],
  ["a process ends", uses('"crash"')],
  ["a worker ends", (one) => acts("killWorker")(one) || acts("stopWorker")(one)],
  ["the server ends", acts("killServer")],
  ["it is paused", (one) => acts("pause")(one) || uses('"pause"')(one)],
  ["it is retried", acts("retry")],
  ["it stays paused", ({ expect: { state } }) => state === "PAUSED"],
  ["it sleeps by a cron expression", uses('"cron"')],
  ["it waits for a signal that cannot come", uses('"never"')],
];

/** The same of single cases. */
const notLocalByName: Readonly<Record<string, string>> = {
  "approval-in-rounds": "one person answers for all",
  "callback-loses-a-race": "a post is there from the start",
  "callbacks-side-by-side": "a callback has no answer but a post",
  "cancelled-while-it-undoes": "the run fails with the error that it is undone for",
  "child-beside-a-branch-that-goes-on": "it waits for a signal that cannot come",
};

const cases = await readCases();

function whyNot(one: ConformanceCase): string | undefined {
  return notLocalByName[one.name] ?? notLocal.find(([, applies]) => applies(one))?.[0];
}

/** Signals, answers and posts by name, in their order. */
function prepared(actions: readonly Action[]): {
  signals: Record<string, unknown[]>;
  answers: Record<string, unknown[]>;
  callbacks: Record<string, unknown[]>;
} {
  const lists = { signals: {}, answers: {}, callbacks: {} } as Record<
    "signals" | "answers" | "callbacks",
    Record<string, unknown[]>
  >;
  const add = (list: Record<string, unknown[]>, name: string, value: unknown): void => {
    list[name] = [...(list[name] ?? []), value];
  };
  const ids = new Set<string>();
  for (const action of actions) {
    if ("signal" in action) {
      const { name, value, id } = action.signal;
      if (id === undefined || !ids.has(id)) add(lists.signals, name, value);
      if (id !== undefined) ids.add(id);
    } else if ("post" in action) add(lists.callbacks, action.post.callback, action.post.value);
    else if ("answer" in action) {
      const { key, value, skip, actor } = action.answer;
      const answer = typeof value === "boolean" ? { approved: value, actor, comment: "" } : value;
      const segment = /user:(?:question\[)?([^/\]]*)\]?$/.exec(key)?.[1] ?? "";
      add(lists.answers, decodeURIComponent(segment), skip ? undefined : answer);
    }
  }
  return lists;
}

test("every case that is named above exists", () => {
  const names = cases.map(({ name }) => name);
  expect(Object.keys(notLocalByName).filter((name) => !names.includes(name))).toEqual([]);
});

describe("runLocally", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "pawl-local-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  for (const one of cases) {
    const why = whyNot(one);
    if (why !== undefined) {
      test.skip(`${one.name} (${why})`, () => undefined);
      continue;
    }
    test.concurrent(one.name, async () => {
      const environment = { folder, queue: "local", deploy: 0, workflow: undefined };
      const program: Workflow<Input, unknown> = workflow("conformance", (ctx, input: Input) =>
        runProgram({ ...environment, workflow: program }, ctx, input),
      );
      await check(one, program, folder);
    });
  }
});

async function check(
  one: ConformanceCase,
  program: Workflow<Input, unknown>,
  folder: string,
): Promise<void> {
  const runId = `${one.name}-${randomUUID().slice(0, 8)}`;
  const events: string[] = [];
  const abort = new AbortController();
  const run = runLocally(program, inputOf(one), {
    runId,
    ...prepared(one.actions),
    abortSignal: abort.signal,
    onEvent: (type) => void events.push(type),
  });
  const effectsOf = () => readEffects(folder, runId);
  void cancelAsAsked(one.actions, abort, effectsOf);
  const [outcome] = await Promise.allSettled([run]);
  const { state, output, failure, effects, events: wanted } = one.expect;
  if (outcome.status === "fulfilled") {
    expect(state).toBe("COMPLETED");
    if ("output" in one.expect) expect(outcome.value).toEqual(output);
  } else {
    const problem = failureOf(outcome.reason);
    expect(state, String(outcome.reason)).toBe(
      problem.type === "Cancelled" ? "CANCELLED" : "FAILED",
    );
    if (failure !== undefined) expect(problem.type).toBe(failure.type);
  }
  if (effects !== undefined) compareEffects(await effectsOf(), effects, []);
  if (wanted !== undefined) {
    const live = wanted.filter((type) => !/^(run\.|workflow\.|rollback$|commit$)/.test(type));
    expect(events.filter((type) => live.includes(type))).toEqual(live);
  }
}

/** The interpreter checks the operations as it comes to them. */
function inputOf({ programs }: ConformanceCase): Input {
  return {
    programs: programs.map((program) =>
      program.map((operation) => ({ ...operation, op: String(operation.op) })),
    ),
  };
}

async function readEffects(folder: string, runId: string): Promise<Record<string, number>> {
  const text = await readFile(join(folder, "effects"), "utf8").catch(() => "");
  const seen: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const [id, name = ""] = line.split("\t");
    if (id === runId) seen[name] = (seen[name] ?? 0) + 1;
  }
  return seen;
}

/** Cancels the run once the effects are there that the case waits for before. */
async function cancelAsAsked(
  actions: readonly Action[],
  abort: AbortController,
  effectsOf: () => Promise<Record<string, number>>,
): Promise<void> {
  for (const action of actions) {
    if ("awaitEffect" in action) {
      while (((await effectsOf())[action.awaitEffect] ?? 0) < action.count) await sleep(20);
    } else if ("waitMs" in action) await sleep(action.waitMs);
    else if ("cancel" in action) abort.abort("cancelled");
  }
}
