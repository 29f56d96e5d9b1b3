/**
 * Goal: an approval by several people counts each of them once, ends with the first rejection, and
 * is decided by assignees only.
 * Method: raw calls, also at the same moment and through two servers of one database.
 */
import { WaitOutcome, WaitService } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect, rpc } from "../harness/protocol.ts";
import { startServer } from "../harness/server.ts";
import { json, jsonOf, Lab, refused, stores } from "../semantics/lab.ts";
import { APPROVAL, answer, asked, getWait, idOf, suspendOn, waits } from "./waits-lab.ts";

const assignees = ["al", "bo", "cy"];
const twoOfThree = { prompt: "Ship?", type: APPROVAL, assignees, approvalsNeeded: 2 };

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test.concurrent("two of three: open after the first, approved with the second, both on record", async () => {
    const held = await asked(lab, "session", { ship: twoOfThree });
    const { worker, runId, fence } = held;
    const waitId = await idOf(lab.client, `${runId}#user:ship`);
    await suspendOn(held, ["user:ship"]);
    const first = await answer(lab.client, waitId, true, { actor: "bo", comment: "fine" });
    expect(first.wait?.outcome).toBe(WaitOutcome.UNSPECIFIED);
    const [listed] = await waits(lab.client, { runId });
    expect(listed?.answers).toMatchObject([{ actor: "bo", approved: true, comment: "fine" }]);
    const second = await answer(lab.client, waitId, true, { actor: "al" });
    expect(second.wait?.outcome).toBe(WaitOutcome.ANSWERED);
    const next = await worker.next(runId, fence);
    const resolved = next.journal.find(({ type }) => type === "workflow.wait.resolved");
    expect(jsonOf(resolved?.payload)).toBe(true);
    expect(JSON.parse(resolved?.details.answers ?? "[]")).toMatchObject([
      { actor: "bo", approved: true, comment: "fine", via: "api" },
      { actor: "al", approved: true, comment: "" },
    ]);
    const answered = next.journal.filter(({ type }) => type === "workflow.user.answered");
    expect(answered.map(({ details }) => details.actor)).toEqual(["bo", "al"]);
  });

  test.concurrent("a rejection decides, no matter who approved before", async () => {
    const { runId } = await asked(lab, "unary", { ship: twoOfThree });
    const waitId = await idOf(lab.client, `${runId}#user:ship`);
    await answer(lab.client, waitId, true, { actor: "al" });
    const rejected = await answer(lab.client, waitId, false, { actor: "cy", comment: "no" });
    expect(rejected.wait).toMatchObject({
      outcome: WaitOutcome.ANSWERED,
      resolvedBy: "cy",
      comment: "no",
    });
    expect(jsonOf((await getWait(lab.client, waitId)).payload)).toBe(false);
    await expect(answer(lab.client, waitId, true, { actor: "bo" })).rejects.toMatchObject(
      refused("WAIT_ALREADY_RESOLVED", { resolved_by: "cy" }),
    );
  });

  test.concurrent("one approver counts once, also at the same moment", async () => {
    const { runId } = await asked(lab, "unary", { ship: twoOfThree });
    const waitId = await idOf(lab.client, `${runId}#user:ship`);
    const votes = await Promise.allSettled(
      Array.from({ length: 5 }, () => answer(lab.client, waitId, true, { actor: "al" })),
    );
    expect(votes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const vote of votes)
      if (vote.status === "rejected")
        expect(vote.reason).toMatchObject(
          refused("WAIT_ALREADY_RESOLVED", { resolved_by: "al", outcome: "" }),
        );
    expect((await getWait(lab.client, waitId)).wait?.outcome).toBe(WaitOutcome.UNSPECIFIED);
  });

  test.concurrent("who is not an assignee, or nobody, may not answer", async () => {
    const { runId } = await asked(lab, "unary", {
      ship: twoOfThree,
      anybody: { prompt: "OK?", type: APPROVAL, approvalsNeeded: 2 },
    });
    for (const actor of ["eve", ""]) {
      const refusal = answer(lab.client, `${runId}#user:ship`, true, { actor });
      await expect(refusal).rejects.toMatchObject(
        refused("PERMISSION_DENIED", { actor, assignees: JSON.stringify(assignees) }),
      );
    }
    await expect(answer(lab.client, `${runId}#user:anybody`, true)).rejects.toMatchObject(
      refused("INVALID_ARGUMENT", { field: "actor" }),
    );
  });
});

test("answers through two servers at once: each approver once, one decision", async () => {
  await using lab = await Lab.open("postgres");
  await using other = await startServer({ store: lab.server.store });
  const client = connect(other.grpcAddress);
  const many = Array.from({ length: 8 }, (_, index) => `p${index}`);
  const question = { prompt: "Ship?", type: APPROVAL, assignees: many, approvalsNeeded: 5 };
  const held = await asked(lab, "session", { ship: question });
  const { worker, runId, fence } = held;
  await suspendOn(held, ["user:ship"]);
  const waitId = await idOf(lab.client, `${runId}#user:ship`);
  const clients = [lab.client, client];
  const votes = await Promise.allSettled(
    many.flatMap((actor) =>
      clients.map((one, index) =>
        rpc(one, WaitService.method.answerWait, {
          waitId,
          resolutionId: `${actor}-${index}`,
          response: { case: "answer", value: json(true) },
          actor,
        }),
      ),
    ),
  );
  client.close();
  const next = await worker.next(runId, fence);
  const types = next.journal.map(({ type }) => type);
  expect(types.filter((type) => type === "workflow.user.answered")).toHaveLength(5);
  expect(types.filter((type) => type === "workflow.wait.resolved")).toHaveLength(1);
  expect(votes.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
  const actors = next.journal
    .filter(({ type }) => type === "workflow.user.answered")
    .map(({ details }) => details.actor);
  expect(new Set(actors).size).toBe(5);
});
