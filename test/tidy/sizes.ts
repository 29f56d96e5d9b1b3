/** How long files and functions are. */
import type * as ESTree from "oxc-parser";
import { Visitor } from "oxc-parser";
import { lineAt, type Source } from "./sources.ts";

/** A file or function, with its length. */
export interface Size {
  /** `path`, or `path#function`; an unnamed function is named for its first line. */
  name: string;
  lines: number;
}

type FunctionNode = ESTree.Function | ESTree.ArrowFunctionExpression;

/** The length of a file, without the line break at its end. */
export function measureFile(source: Pick<Source, "path" | "text">): Size {
  return { name: source.path, lines: source.text.trimEnd().split("\n").length };
}

/**
 * The lengths of all functions of a file. A function that calls `describe` or `test` is a list of
 * tests, and not measured.
 */
export function measureFunctions(source: Source): Size[] {
  const sizes: Size[] = [];
  const names = new Map<number, string>();
  /** The functions around the node that is visited, outermost first. */
  const open: { node: FunctionNode; isSuite: boolean }[] = [];
  const enter = (node: FunctionNode) => {
    open.push({ node, isSuite: false });
  };
  const leave = (node: FunctionNode) => {
    const isSuite = open.pop()?.isSuite === true;
    if (isSuite) return;
    const first = lineAt(source.text, node.start);
    const name = node.id?.name ?? names.get(node.start) ?? `line ${first}`;
    sizes.push({
      name: `${source.path}#${name}`,
      lines: lineAt(source.text, node.end) - first + 1,
    });
  };
  const nameFunction = (key: ESTree.Node, value: ESTree.Node | null) => {
    if (value !== null) names.set(value.start, source.text.slice(key.start, key.end));
  };
  new Visitor({
    FunctionDeclaration: enter,
    "FunctionDeclaration:exit": leave,
    FunctionExpression: enter,
    "FunctionExpression:exit": leave,
    ArrowFunctionExpression: enter,
    "ArrowFunctionExpression:exit": leave,
    VariableDeclarator: (node) => nameFunction(node.id, node.init),
    MethodDefinition: (node) => nameFunction(node.key, node.value),
    PropertyDefinition: (node) => nameFunction(node.key, node.value),
    Property: (node) => nameFunction(node.key, node.value),
    CallExpression(node) {
      if (!/^(describe|test|it)\b/.test(source.text.slice(node.start, node.start + 9))) return;
      for (const around of open) around.isSuite = true;
    },
  }).visit(source.program);
  return sizes;
}

/**
 * Which sizes are above the limit or above their exception, and which exceptions are not needed.
 */
export function findSizeFaults(
  sizes: readonly Size[],
  linesMax: number,
  exceptions: Readonly<Record<string, { linesMax: number }>>,
): string[] {
  const faults: string[] = [];
  const needed = new Set<string>();
  for (const { name, lines } of sizes) {
    if (lines <= linesMax) continue;
    needed.add(name);
    const most = exceptions[name]?.linesMax ?? linesMax;
    if (lines > most) faults.push(`${name} has ${lines} lines, ${most} at most: split it.`);
  }
  for (const name of Object.keys(exceptions)) {
    if (!needed.has(name)) faults.push(`${name} needs no exception any more: remove it.`);
  }
  return faults;
}
