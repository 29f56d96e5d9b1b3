/**
 * Goal: what is made of several parts is read as it was written.
 * Method: write and read each kind; then read what nobody wrote.
 */
import { expect, test } from "vitest";
import {
  type ConnectionId,
  formatConnectionId,
  formatPageToken,
  parseConnectionId,
  parsePageToken,
  parseRunKey,
  runKey,
} from "./ids.ts";

test("a run key", () => {
  expect(parseRunKey(runKey("acme", "order/1"))).toEqual({ org: "acme", runId: "order/1" });
});

test.each<ConnectionId>([
  { kind: "attached", replica: "vm:0#1", instance: "worker-1/x" },
  { kind: "polling", instance: "" },
  { kind: "claim", instance: "me/0190" },
])("a connection id: $kind", (id) => {
  expect(parseConnectionId(formatConnectionId(id))).toEqual(id);
});

test("a page token", () => {
  const token = formatPageToken([7, "run", "step:1"]);
  expect(parsePageToken(token, ["number", "string", "string"])).toEqual([7, "run", "step:1"]);
  for (const other of [formatPageToken([7]), formatPageToken(["7", "run", "key"]), "x", "%%"])
    expect(() => parsePageToken(other, ["number", "string", "string"])).toThrow("page_token");
});
