/**
 * Goal: a cursor of a run with children says where each of them is, and nothing else is taken for one.
 * Method: places of all kinds there and back, and made-up cursors.
 */
import { expect, test } from "vitest";
import { BOUNDS } from "../../model/bounds.ts";
import { PawlError } from "../../model/errors.ts";
import { makeCursor, START } from "./position.ts";
import { makeTreeCursor, parseTreeCursor, type TreePlace } from "./tree-cursor.ts";

const root = makeCursor({ ...START, seq: 12, fence: 3, number: 40 });
const child = makeCursor({ ...START, seq: 2, notes: 1, mode: "joining" });

test.each<[string, TreePlace]>([
  ["no children", { cursor: root, children: [] }],
  [
    "children and theirs, one of them at its start",
    {
      cursor: root,
      children: [
        { parent: -1, seq: 5, cursor: child },
        { parent: 0, seq: 2, cursor: "" },
        { parent: -1, seq: 9, cursor: root },
      ],
    },
  ],
])("%s", (_, place) => {
  expect(parseTreeCursor(makeTreeCursor(place))).toEqual(place);
});

test("a run's own cursor is one of it without children", () => {
  expect(makeTreeCursor({ cursor: root, children: [] })).toBe(root);
  expect(parseTreeCursor("")).toEqual({ cursor: "", children: [] });
});

test("as many children as are followed fit into what a request may have", () => {
  const cursor = makeCursor({
    life: "",
    seq: 1e9,
    fence: 1e9,
    number: 1e9,
    notes: 1e5,
    mode: "joining",
  });
  const children = Array.from({ length: BOUNDS.watchedChildren }, (_, parent) => {
    return { parent: parent - 1, seq: 1e9, cursor };
  });
  expect(makeTreeCursor({ cursor, children }).length).toBeLessThan(8_192);
});

const many = Array.from({ length: 65 }, () => "-1:1:1.1.1.0l").join(",");
test.each(["tnone,x", "t1.1.1.0l,0:1:1.1.1.0l", "t1.1.1.0l,-2:1:", `t1.1.1.0l,${many}`])(
  "%s is none",
  (text) => {
    const cursor = Buffer.from(text).toString("base64url");
    expect(() => parseTreeCursor(cursor)).toThrow(PawlError);
  },
);
