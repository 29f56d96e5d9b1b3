/**
 * Goal: the modules of the Python SDK form layers, as those of the server do, and what is private stays so;
 * the programs that use the Go SDK know its public package only.
 * Method: compare the imports with the ranks below. An import within a function is an exception, listed here.
 */
import { expect, test } from "vitest";
import { knotFilesMax } from "./exceptions.ts";
import { findComponents } from "./layering.ts";
import { readOthers } from "./sources.ts";

const package_ = "worker-sdk/python/src/pawl/";

/** Modules and folders, lowest first: one imports its own layer or lower ones. */
const layers: readonly (readonly string[])[] = [
  ["v1", "_lib", "errors"],
  ["duration", "_codec"],
  ["failure", "retry", "template"],
  ["_run"],
  ["agent", "flow", "step"],
  ["_context", "context"],
  ["execute", "workflow"],
  ["_link", "_local"],
  ["views", "handle", "client", "worker", "local", "testing", "web", "__init__"],
];

/** Imports within functions: a call that leads back up. Let there be no more. */
const late = new Set(["workflow.py imports client"]);

interface PythonImport {
  readonly kind: "static" | "type" | "late";
  /** The module or folder below `pawl`, and the file if there is one of that name. */
  readonly unit: string;
  readonly target: string;
}

function importsOf(path: string, text: string): PythonImport[] {
  const folder = path.slice(package_.length).split("/").slice(0, -1);
  const pattern = /^( *)from (\.+)([\w.]*) import (\w+)/gm;
  return [...text.matchAll(pattern)].map((match) => {
    const [, indent = "", dots = "", module = "", first = ""] = match;
    const base = folder.slice(0, folder.length - (dots.length - 1));
    const parts = [...base, ...(module === "" ? [first] : module.split("."))];
    const above = text.slice(0, match.index).split("\n").reverse();
    const block = above.find((line) => line !== "" && !line.startsWith(" ")) ?? "";
    const isType = block.startsWith("if TYPE_CHECKING");
    const kind = indent === "" ? "static" : isType ? "type" : "late";
    // Of a folder, the name is that of a module.
    const isFolder = module !== "" && folders.has(parts.join("/"));
    const file = isFolder ? [...parts, first] : parts;
    return { kind, unit: parts[0] ?? "", target: `${package_}${file.join("/")}.py` };
  });
}

const all = readOthers();
const python = all.filter(({ path }) => path.startsWith(package_));

const folders = new Set(
  python.map(({ path }) => path.slice(package_.length).split("/").slice(0, -1).join("/")),
);

function unitOf(path: string): string {
  return path.slice(package_.length).split("/")[0]?.replace(/\.py$/, "") ?? "";
}

function rankOf(unit: string): number {
  return layers.findIndex((units) => units.includes(unit));
}

test("no module of the Python SDK imports upward", () => {
  expect(python.length).toBeGreaterThan(50);
  const faults = python.flatMap(({ path, text }) => {
    const own = rankOf(unitOf(path));
    if (own < 0) return [`${path} is in no layer: give it a rank in this file.`];
    return importsOf(path, text)
      .filter(({ kind, unit }) => kind === "static" && rankOf(unit) > own)
      .map(({ unit }) => `${path} imports ${unit}: upward.`);
  });
  expect(faults).toEqual([]);
});

test("imports within functions are those that are listed", () => {
  const found = python.flatMap(({ path, text }) =>
    importsOf(path, text)
      .filter(({ kind }) => kind === "late")
      .map(({ unit }) => `${path.slice(package_.length)} imports ${unit}`),
  );
  expect(new Set(found)).toEqual(late);
});

test("no modules of the Python SDK import one another at run time", () => {
  const edges = new Map(
    python.map(({ path, text }) => [
      path,
      importsOf(path, text).flatMap(({ kind, target }) => (kind === "static" ? [target] : [])),
    ]),
  );
  expect(findComponents(edges)).toEqual([]);
});

test(`no more than ${knotFilesMax} modules of the Python SDK know one another, if only by types`, () => {
  const edges = new Map(
    python.map(({ path, text }) => [path, importsOf(path, text).map(({ target }) => target)]),
  );
  const knots = findComponents(edges).filter(({ length }) => length > knotFilesMax);
  expect(knots).toEqual([]);
});

test("only the Python SDK and its tests import its private modules", () => {
  const faults = all.filter(
    ({ path, text }) =>
      path.startsWith("worker-sdk/python/conformance/") && /(from|import) pawl\._/.test(text),
  );
  expect(faults.map(({ path }) => path)).toEqual([]);
});

test("programs in Go import the public packages only", () => {
  const faults = all.flatMap(({ path, text }) => {
    const isOutside = /^worker-sdk\/go\/(conformance|bench)\//.test(path);
    const isShipped = path.startsWith("worker-sdk/go/") && !path.endsWith("_test.go");
    const inner = text.includes('"pawl.dev/pawl/internal/');
    return (isOutside || isShipped) && inner && !path.includes("/internal/") ? [path] : [];
  });
  expect(faults).toEqual([]);
});
