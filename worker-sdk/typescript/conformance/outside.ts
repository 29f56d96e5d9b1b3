/** Operations whose result comes from outside: from people, callers, and the clock. */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import type { Callback, Context } from "@pawl/worker";
import type { Operation } from "./interpreter.ts";
import type { Scope } from "./values.ts";

function waitOptions(operation: Operation, scope: Scope) {
  return {
    ...("key" in operation ? { key: String(operation.key) } : {}),
    ...("timeoutMs" in operation ? { timeout: Number(operation.timeoutMs) } : {}),
    ...("default" in operation ? { default: scope.evaluate(operation.default) } : {}),
  };
}

export async function ask(ctx: Context, operation: Operation, scope: Scope): Promise<unknown> {
  const question = String(operation.question);
  const options = {
    ...waitOptions(operation, scope),
    ...("skippable" in operation ? { skippable: operation.skippable === true } : {}),
    ...("assignees" in operation ? { assignees: operation.assignees as string[] } : {}),
  };
  const choices = (operation.options ?? []) as readonly string[];
  switch (operation.type) {
    case "approval": {
      const needed = Number(operation.needed ?? 1);
      const answer = await ctx.waitForUser(question, { ...options, type: "approval", needed });
      return typeof answer === "object" && answer !== null && "approved" in answer
        ? answer.approved
        : (answer ?? null);
    }
    case "choice":
      return (
        (await ctx.waitForUser(question, { ...options, type: "choice", options: choices })) ?? null
      );
    case "multichoice":
      return (
        (await ctx.waitForUser(question, { ...options, type: "multichoice", options: choices })) ??
        null
      );
    case "form": {
      const schema = operation.schema as Record<string, unknown>;
      return (await ctx.waitForUser(question, { ...options, type: "form", schema })) ?? null;
    }
    default:
      return (await ctx.waitForUser(question, options)) ?? null;
  }
}

export async function approve(ctx: Context, operation: Operation, scope: Scope): Promise<unknown> {
  const { key, timeout, default: late } = waitOptions(operation, scope);
  const chain = operation.chain as { name?: string; approvers: string[]; needed?: number }[];
  const { approved, votes, round, timedOut } = await ctx.approval(String(operation.question), {
    chain,
    ...(key === undefined ? {} : { key }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(late === undefined ? {} : { default: late as "approved" | "rejected" }),
  });
  const told = votes.map((vote) => [vote.round, vote.actor, vote.approved]);
  return { approved, round, timedOut, votes: told };
}

/** Notes the URL for the runner. */
export async function openCallback(
  ctx: Context,
  operation: Operation,
  scope: Scope,
  folder: string,
): Promise<Callback<unknown>> {
  const name = String(operation.name);
  const callback = await ctx.callback<unknown, unknown>(name, waitOptions(operation, scope));
  appendFileSync(join(folder, `${ctx.runId}.callback.${name}`), `${callback.url}\n`);
  return callback;
}

export function resultOf(callback: unknown): Promise<unknown> {
  return (callback as Callback<unknown>).result();
}

export function sleepUntil(ctx: Context, operation: Operation): Promise<void> {
  const time = { cron: String(operation.cron), timeZone: String(operation.timeZone ?? "UTC") };
  return ctx.sleepUntil(time, "name" in operation ? { name: String(operation.name) } : {});
}
