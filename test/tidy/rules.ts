/** Constructs that are not to be used, and where. */
import type * as ESTree from "oxc-parser";
import { Visitor } from "oxc-parser";
import { isTest, lineAt, type Source } from "./sources.ts";

/** One use of such a construct. */
export interface Use {
  /** `any`, `double-cast`, `clock`, `random` or `only`. */
  rule: string;
  path: string;
  line: number;
}

const clockCalls = /^(Date\.now|performance\.now|process\.hrtime(\.bigint)?|process\.uptime)$/;
const randomCalls = /^(Math\.random|crypto\.(randomUUID|randomBytes|randomInt|getRandomValues))$/;
const randomNames = /^(randomUUID|randomUUIDv7|randomBytes|randomInt|randomFillSync|webcrypto)$/;

/** All such uses in a file. */
export function findUses(source: Source): Use[] {
  const { path, text } = source;
  const uses: Use[] = [];
  const add = (rule: string, node: { start: number }) => {
    uses.push({ rule, path, line: lineAt(text, node.start) });
  };
  /** In the server only lib/ reads the clock or makes random values, so that tests can. */
  const isTimeless =
    path.startsWith("server/src/") && !path.startsWith("server/src/lib/") && !isTest(path);
  new Visitor({
    TSAnyKeyword: (node) => add("any", node),
    TSAsExpression(node) {
      const inner = node.expression;
      if (inner.type !== "TSAsExpression") return;
      if (inner.typeAnnotation.type === "TSUnknownKeyword") add("double-cast", node);
    },
    MemberExpression(node) {
      const name = text.slice(node.start, node.end);
      if (isTimeless && clockCalls.test(name)) add("clock", node);
      if (isTimeless && randomCalls.test(name)) add("random", node);
      if (isTest(path) && /^(describe|test|it|suite)(\.\w+)*\.only$/.test(name)) add("only", node);
    },
    NewExpression(node) {
      const isNow = isIdentifier(node.callee, "Date") && node.arguments.length === 0;
      if (isTimeless && isNow) add("clock", node);
    },
    ImportSpecifier(node) {
      if (isTimeless && randomNames.test(text.slice(node.imported.start, node.imported.end))) {
        add("random", node);
      }
    },
  }).visit(source.program);
  return uses;
}

function isIdentifier(node: ESTree.Node, name: string): boolean {
  return node.type === "Identifier" && node.name === name;
}

/** The uses beyond what is allowed, and what is allowed but not used. */
export function findUseFaults(
  uses: readonly Use[],
  allowed: Readonly<Record<string, Readonly<Record<string, number>>>>,
): string[] {
  const faults: string[] = [];
  const groups = Map.groupBy(uses, ({ path, rule }) => `${path} ${rule}`);
  for (const group of groups.values()) {
    const [first] = group;
    if (first === undefined) continue;
    const most = allowed[first.path]?.[first.rule] ?? 0;
    if (group.length === most) continue;
    const places = group.map(({ path, line }) => `${path}:${line}`).join(", ");
    faults.push(`${first.rule}: used ${group.length} times, ${most} allowed: ${places}`);
  }
  for (const [path, rules] of Object.entries(allowed)) {
    for (const rule of Object.keys(rules)) {
      if (!groups.has(`${path} ${rule}`)) faults.push(`${rule}: allowed in ${path}, not used.`);
    }
  }
  return faults;
}
