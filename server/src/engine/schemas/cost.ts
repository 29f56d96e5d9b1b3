/** What a check may cost at most, told from schema and value alone. */

/** Keywords that refer to what only the check itself finds out. */
const FAR_REFERENCES: ReadonlySet<string> = new Set(["$dynamicRef", "$recursiveRef"]);

/** What a schema has, with what it refers to in place of each reference. */
export interface SchemaCost {
  readonly nodes: number;
  readonly hasUniqueItems: boolean;
}

/** Undefined where there is no bound, or more than `max` nodes. */
export function schemaCost(schema: unknown, max: number): SchemaCost | undefined {
  let nodes = 0;
  let hasUniqueItems = false;
  /** @returns false where there is no bound */
  const walk = (node: unknown, around: readonly unknown[]): boolean => {
    nodes += 1;
    if (nodes > max) return false;
    if (typeof node !== "object" || node === null) return true;
    for (const [key, child] of Object.entries(node)) {
      if (FAR_REFERENCES.has(key)) return false;
      if (key === "uniqueItems" && child !== false) hasUniqueItems = true;
      if (key === "$ref") {
        const target = typeof child === "string" ? pointedAt(schema, child) : undefined;
        if (target === undefined || around.includes(target)) return false;
        if (!walk(target, [...around, target])) return false;
      } else if (!walk(child, around)) return false;
    }
    return true;
  };
  return walk(schema, [schema]) ? { nodes, hasUniqueItems } : undefined;
}

/** By a JSON pointer within the same schema. */
function pointedAt(schema: unknown, reference: string): unknown {
  if (reference === "#") return schema;
  if (!reference.startsWith("#/")) return undefined;
  let at: unknown = schema;
  for (const part of reference.slice(2).split("/")) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return undefined;
    at = Reflect.get(at, name);
  }
  return at;
}

/** How many pairs of items are compared where all arrays must have unique ones. */
export function itemPairs(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let pairs = Array.isArray(value) ? value.length ** 2 : 0;
  for (const inner of Object.values(value)) pairs += itemPairs(inner);
  return pairs;
}
