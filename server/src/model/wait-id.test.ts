import { expect, test } from "vitest";
import { createdAtOf, mayBeOf, waitIdOf } from "./wait-id.ts";

const run = { createdAt: 1_764_000_000_123, runUid: "0198c3a0-0000-7000-8000-000000000001" };

test("the id of a wait is short, needs no escaping, and is always the same", () => {
  const id = waitIdOf(run, 'map:tool#3/user:editor[Publish "it"?]');
  expect(id).toMatch(/^w[0-9A-Za-z]{21}$/);
  expect(waitIdOf(run, 'map:tool#3/user:editor[Publish "it"?]')).toBe(id);
  expect(encodeURIComponent(id)).toBe(id);
});

test("the id of a wait says of which run it is", () => {
  const id = waitIdOf(run, "user:a");
  expect(createdAtOf(id)).toBe(run.createdAt);
  expect(mayBeOf(id, run)).toBe(true);
  expect(mayBeOf(id, { ...run, runUid: "0198c3a0-0000-7000-8000-000000000002" })).toBe(false);
  expect(mayBeOf(id, { ...run, createdAt: run.createdAt + 1 })).toBe(false);
});

test("waits of one run, and of two lives of one run id, have different ids", () => {
  const keys = Array.from({ length: 5_000 }, (_, at) => `user:question#${at}`);
  const ids = new Set(keys.map((key) => waitIdOf(run, key)));
  expect(ids.size).toBe(keys.length);
  expect(ids).not.toContain(waitIdOf({ ...run, runUid: "other" }, "user:question#1"));
});

test.each(["", "r#user:a", "w", "w123", `w${"0".repeat(20)}!`, `W${"0".repeat(21)}`])(
  "%j is not the id of a wait",
  (text) => {
    expect(createdAtOf(text)).toBeUndefined();
  },
);
