/**
 * Goal: a question keeps its own answer, no matter who answers, when and however often; an answer
 * is one of the question's type, and is on record with who gave it.
 * Method: raw messages over both transports, on both stores.
 */
import { RunStatus, WaitKind, WaitOutcome } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fenceOf, jsonOf, Lab, ms, refused, stores, transports } from "../semantics/lab.ts";
import {
  APPROVAL,
  answer,
  ask,
  asked,
  CHOICE,
  eventually,
  FORM,
  getWait,
  idOf,
  MULTICHOICE,
  type QuestionInit,
  skip,
  suspendOn,
  TEXT,
  waits,
} from "./waits-lab.ts";

const COLOURS = [{ value: "red", label: "Red" }, { value: "blue" }];
const FORM_SCHEMA = JSON.stringify({
  type: "object",
  properties: { amount: { type: "number" }, note: { type: "string" } },
  required: ["amount"],
});

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  describe.each(transports)("%s", (transport) => {
    test.concurrent("two questions in parallel get their own answers, in any order", async () => {
      const held = await asked(lab, transport, {
        first: { prompt: "First?", type: TEXT },
        second: { prompt: "Second?", type: TEXT },
      });
      const { runId, worker, fence } = held;
      await suspendOn(held, ["user:first", "user:second"], 2);
      const listed = await waits(lab.client, { runId });
      expect(listed.map((wait) => wait.stepKey).sort()).toEqual(["user:first", "user:second"]);
      await answer(lab.client, `${runId}#user:second`, "two", { actor: "bo" });
      expect((await lab.run(runId)).status).toBe(RunStatus.WAITING);
      await answer(lab.client, `${runId}#user:first`, "one", { actor: "al" });
      const next = await worker.next(runId, fence);
      const resolved = next.journal.filter(({ type }) => type === "workflow.wait.resolved");
      expect(resolved.map((entry) => [entry.stepKey, jsonOf(entry.payload)])).toEqual([
        ["user:second", "two"],
        ["user:first", "one"],
      ]);
      expect(resolved[0]).toMatchObject({
        outcome: WaitOutcome.ANSWERED,
        details: { actor: "bo", via: "api" },
      });
      expect(await waits(lab.client, { runId })).toEqual([]);
    });

    test.concurrent("a question that comes before a pending one moves nobody's answer", async () => {
      const held = await asked(lab, transport, { old: { prompt: "Old?", type: TEXT } });
      const { runId, worker, fence } = held;
      await suspendOn(held, ["user:old"]);
      const [before] = await waits(lab.client, { runId });
      await answer(lab.client, `${runId}#user:old`, "old");
      // New code asks another question first; what was asked is asked again under its own key.
      const next = { worker, runId, fence: fenceOf(await worker.next(runId, fence)) };
      const inserted = await ask(next, "new", { prompt: "New?", type: TEXT });
      expect(inserted.outcome).toMatchObject({
        case: "wait",
        value: { waitId: await idOf(lab.client, `${runId}#user:new`) },
      });
      const replayed = await ask(next, "old", { prompt: "Old?", type: TEXT });
      expect(replayed.outcome).toMatchObject({
        case: "replay",
        value: { outcome: WaitOutcome.ANSWERED },
      });
      expect(before?.waitId).toBe(await idOf(lab.client, `${runId}#user:old`));
    });

    test.concurrent("an answer that comes while the worker holds the run is there at once", async () => {
      const held = await asked(lab, transport, { q: { prompt: "Q?", type: TEXT } });
      await answer(lab.client, `${held.runId}#user:q`, "yes");
      const again = await ask(held, "q", { prompt: "Q?", type: TEXT });
      expect(again.outcome.case).toBe("replay");
      if (again.outcome.case !== "replay") return;
      const { result, details, waitId } = again.outcome.value;
      expect(result.case === "output" && jsonOf(result.value)).toBe("yes");
      expect(details).toMatchObject({ via: "api" });
      expect(waitId).toBe(await idOf(lab.client, `${held.runId}#user:q`));
    });
  });

  const answers: [string, QuestionInit, unknown[], unknown[]][] = [
    ["text", { type: TEXT }, ["", "words"], [1, null, ["a"], true]],
    ["approval", { type: APPROVAL }, [true, false], ["yes", 1, null, {}]],
    ["choice", { type: CHOICE, options: COLOURS }, ["red", "blue"], ["Red", "", 1, ["red"]]],
    [
      "choice with own words",
      { type: CHOICE, options: COLOURS, allowCustom: true },
      ["green", ""],
      [7, ["green"]],
    ],
    [
      "multichoice",
      { type: MULTICHOICE, options: COLOURS },
      [[], ["blue", "red"]],
      ["red", ["red", "red"], ["green"], [1], {}],
    ],
    [
      "form",
      { type: FORM, formSchema: FORM_SCHEMA },
      [{ amount: 1 }, { amount: 2, note: "" }],
      [{}, { amount: "1" }, 3, null],
    ],
  ];
  test.concurrent.each(answers)(
    "%s: what is no answer is refused with what is allowed, and what is one is taken",
    async (_, question, good, bad) => {
      const asks = Object.fromEntries(
        good.map((_value, index) => [`q${index}`, { prompt: "Which?", ...question }]),
      );
      const { runId } = await asked(lab, "unary", asks);
      for (const value of bad) {
        const error = await answer(lab.client, `${runId}#user:q0`, value).catch((e: unknown) => e);
        expect(error, JSON.stringify(value)).toMatchObject({ reason: "INVALID_ANSWER" });
        expect(error).toHaveProperty("metadata.allowed");
        expect(String(error)).toMatch(/Allowed: /);
      }
      expect((await lab.journal(runId)).map(({ type }) => type)).not.toContain(
        "workflow.user.answered",
      );
      for (const [index, value] of good.entries()) {
        await answer(lab.client, `${runId}#user:q${index}`, value);
        const { payload, wait } = await getWait(lab.client, `${runId}#user:q${index}`);
        expect(jsonOf(payload)).toEqual(value);
        expect(wait?.outcome).toBe(WaitOutcome.ANSWERED);
      }
    },
  );

  test.concurrent("refusals of choices name the options", async () => {
    const { runId } = await asked(lab, "unary", {
      c: { prompt: "Which?", type: CHOICE, options: COLOURS },
    });
    await expect(answer(lab.client, `${runId}#user:c`, "green")).rejects.toMatchObject(
      refused("INVALID_ANSWER", { type: "choice", allowed: 'one of ["red","blue"]' }),
    );
  });

  test.concurrent("two people at once: one wins, the other is told who did", async () => {
    const { runId } = await asked(lab, "unary", { q: { prompt: "Q?", type: TEXT } });
    const waitId = await idOf(lab.client, `${runId}#user:q`);
    const results = await Promise.allSettled(
      ["al", "bo", "cy", "di"].map((actor) => answer(lab.client, waitId, actor, { actor })),
    );
    const { wait, payload } = await getWait(lab.client, waitId);
    const winner = wait?.resolvedBy ?? "";
    expect(jsonOf(payload)).toBe(winner);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const result of results) {
      if (result.status !== "rejected") continue;
      const metadata = { resolved_by: winner, outcome: "answered", wait_id: waitId };
      expect(result.reason).toMatchObject(refused("WAIT_ALREADY_RESOLVED", metadata));
      expect(Date.parse(result.reason.metadata.resolved_at)).not.toBeNaN();
    }
  });

  test.concurrent("the same resolution again is answered alike; its id with other content is not", async () => {
    const { runId } = await asked(lab, "unary", { q: { prompt: "Q?", type: TEXT } });
    const waitId = await idOf(lab.client, `${runId}#user:q`);
    const more = { resolutionId: "r1", actor: "al", comment: "because" };
    const first = await answer(lab.client, waitId, "x", more);
    const again = await answer(lab.client, waitId, "x", more);
    expect([first.duplicate, again.duplicate]).toEqual([false, true]);
    expect(again.wait).toMatchObject({
      outcome: WaitOutcome.ANSWERED,
      resolvedBy: "al",
      comment: "because",
    });
    await expect(answer(lab.client, waitId, "y", more)).rejects.toMatchObject(
      refused("WAIT_ALREADY_RESOLVED"),
    );
    const types = (await lab.journal(runId)).map(({ type }) => type);
    expect(types.filter((type) => type === "workflow.user.answered")).toHaveLength(1);
  });

  test.concurrent("skipping: where the question says so, once", async () => {
    const { runId } = await asked(lab, "unary", {
      may: { prompt: "May?", type: TEXT, skippable: true },
      must: { prompt: "Must?", type: TEXT },
    });
    const skipped = await skip(lab.client, `${runId}#user:may`, { resolutionId: "s" });
    expect(skipped.wait?.outcome).toBe(WaitOutcome.SKIPPED);
    const again = await skip(lab.client, `${runId}#user:may`, { resolutionId: "s" });
    expect(again.duplicate).toBe(true);
    await expect(skip(lab.client, `${runId}#user:must`)).rejects.toMatchObject(
      refused("INVALID_ANSWER"),
    );
    await expect(
      answer(lab.client, `${runId}#user:may`, "x", { resolutionId: "s" }),
    ).rejects.toMatchObject(refused("WAIT_ALREADY_RESOLVED", { outcome: "skipped" }));
  });

  test.concurrent("a question nobody answers times out; the answer after that is told so", async () => {
    const held = await lab.held("unary");
    await ask(held, "q", { prompt: "Q?", type: TEXT }, ms(50));
    await lab.untilEntry(held.runId, "workflow.wait.resolved");
    await expect(answer(lab.client, `${held.runId}#user:q`, "late")).rejects.toMatchObject(
      refused("WAIT_ALREADY_RESOLVED", { outcome: "timed_out" }),
    );
  });

  test.concurrent("reminders are recorded, in order, until there is an answer", async () => {
    const held = await lab.held("unary");
    const reminders = [ms(20), ms(60), ms(60_000)];
    await ask(held, "q", { prompt: "Q?", type: TEXT, reminders });
    const sent = async () =>
      (await lab.journal(held.runId)).filter(({ type }) => type === "workflow.wait.reminded");
    await eventually(async () => (await sent()).length === 2, "two reminders");
    const [wait] = await waits(lab.client, { runId: held.runId });
    expect(wait?.remindersSent).toBe(2);
    expect((await sent()).map((entry) => entry.details.reminder)).toEqual(["1", "2"]);
  });

  test.concurrent("there is no such wait, run or answer any more", async () => {
    const held = await asked(lab, "unary", { q: { prompt: "Q?", type: TEXT } });
    const { runId, worker, fence } = held;
    await expect(answer(lab.client, `${runId}#user:other`, "x")).rejects.toMatchObject(
      refused("NOT_FOUND"),
    );
    await expect(answer(lab.client, "nobody#user:q", "x")).rejects.toMatchObject(
      refused("NOT_FOUND"),
    );
    await expect(answer(lab.client, "nonsense", "x")).rejects.toMatchObject(
      refused("INVALID_ARGUMENT", { field: "wait_id" }),
    );
    await worker.failRun({ runId, fence, failure: { type: "Boom", message: "boom" } });
    await expect(answer(lab.client, `${runId}#user:q`, "x")).rejects.toMatchObject(
      refused("RUN_TERMINAL"),
    );
    expect(await waits(lab.client, { runId })).toEqual([]);
  });

  const nonsense: [string, QuestionInit, string][] = [
    ["no prompt", { type: TEXT }, "wait.question.prompt"],
    ["no type", { prompt: "Q?" }, "wait.question.type"],
    ["nothing to choose from", { prompt: "Q?", type: CHOICE }, "wait.question.options"],
    ["a form without schema", { prompt: "Q?", type: FORM }, "wait.question.form_schema"],
    [
      "a schema that is none",
      { prompt: "Q?", type: FORM, formSchema: '{"type":"nothing"}' },
      "wait.question.form_schema",
    ],
    [
      "more approvals than assignees",
      { prompt: "Q?", type: APPROVAL, assignees: ["al"], approvalsNeeded: 2 },
      "wait.question.approvals_needed",
    ],
  ];
  test.concurrent.each(nonsense)(
    "a question with %s is refused when it is asked",
    async (_, question, field) => {
      const held = await lab.held("unary");
      await expect(ask(held, "q", question)).rejects.toMatchObject(
        refused("INVALID_ARGUMENT", { field }),
      );
    },
  );

  test.concurrent("a retried run asks again for what it still waits for", async () => {
    const held = await asked(lab, "unary", { q: { prompt: "Q?", type: TEXT, assignees: ["al"] } });
    const { runId, worker, fence } = held;
    await worker.failRun({ runId, fence, failure: { type: "Boom", message: "boom" } });
    await lab.retry(runId);
    const [wait] = await waits(lab.client, { runId, kinds: [WaitKind.USER], assignee: "al" });
    expect(wait?.stepKey).toBe("user:q");
  });
});
