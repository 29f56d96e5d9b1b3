/**
 * Whether all that fits one JSON Schema fits another, as far as their types tell. What this does not
 * know, such as references and patterns, is taken to fit.
 */
import type { JsonSchema } from "./schema.ts";

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isUnknown(schema: JsonSchema): boolean {
  return ["$ref", "$dynamicRef", "allOf", "not", "if"].some((keyword) => keyword in schema);
}

function typesOf({ type }: JsonSchema): string[] {
  return typeof type === "string" ? [type] : Array.isArray(type) ? type.map(String) : [];
}

function namesIn(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function hasAlternatives(schema: JsonSchema): boolean {
  return Array.isArray(schema.anyOf ?? schema.oneOf);
}

/** The schemas of which a value has to fit one; the schema itself where it has no alternatives. */
function alternatives(schema: JsonSchema): JsonSchema[] {
  const list = schema.anyOf ?? schema.oneOf;
  return Array.isArray(list) ? list.filter(isSchema) : [schema];
}

/** Why something that fits `from` may not fit `to`; undefined where nothing tells. */
export function misfit(from: JsonSchema, to: JsonSchema, path = ""): string | undefined {
  if (isUnknown(from) || isUnknown(to)) return undefined;
  for (const given of alternatives(from)) {
    let first: string | undefined;
    let fits = false;
    for (const wanted of alternatives(to)) {
      const problem = oneMisfit(given, wanted, path);
      first ??= problem;
      fits ||= problem === undefined;
    }
    if (!fits) return first;
  }
  return undefined;
}

function oneMisfit(from: JsonSchema, to: JsonSchema, path: string): string | undefined {
  if (isUnknown(from) || isUnknown(to)) return undefined;
  if (hasAlternatives(from) || hasAlternatives(to)) return misfit(from, to, path);
  const [given, wanted] = [typesOf(from), typesOf(to)];
  const fits = (type: string) =>
    wanted.includes(type) || (type === "integer" && wanted.includes("number"));
  if (given.length > 0 && wanted.length > 0 && !given.every(fits)) {
    const what = path === "" ? "it makes" : `its "${path}" is`;
    return `${what} ${given.join(" or ")}, where ${wanted.join(" or ")} is wanted`;
  }
  return (
    valueMisfit(from, to, path) ?? propertyMisfit(from, to, path) ?? itemMisfit(from, to, path)
  );
}

/** The only values that fit; undefined where there are others. */
function valuesOf(schema: JsonSchema): unknown[] | undefined {
  if (Array.isArray(schema.enum)) return schema.enum;
  return "const" in schema ? [schema.const] : undefined;
}

function valueMisfit(from: JsonSchema, to: JsonSchema, path: string): string | undefined {
  const wanted = valuesOf(to);
  const others = valuesOf(from)?.filter((value) => !wanted?.includes(value)) ?? [];
  if (wanted === undefined || others.length === 0) return undefined;
  const listed = (values: unknown[]) => values.map((value) => JSON.stringify(value)).join(" or ");
  const what = path === "" ? "it may make" : `its "${path}" may be`;
  return `${what} ${listed(others)}, where ${listed(wanted)} is wanted`;
}

function propertyMisfit(from: JsonSchema, to: JsonSchema, path: string): string | undefined {
  const { properties: given } = from;
  if (isSchema(from.additionalProperties) && isSchema(to.additionalProperties)) {
    const problem = misfit(from.additionalProperties, to.additionalProperties, `${path}{}`);
    if (problem !== undefined) return problem;
  }
  if (!isSchema(given)) return undefined;
  const certain = new Set(namesIn(from.required));
  const missing = namesIn(to.required).filter((name) => !certain.has(name));
  if (missing.length > 0) {
    const where = path === "" ? "" : ` in its "${path}"`;
    const verb = missing.some((name) => name in given) ? "may leave out" : "makes no";
    return `it ${verb} "${missing.join('", "')}"${where}, which is required`;
  }
  const wanted = isSchema(to.properties) ? to.properties : {};
  for (const [name, schema] of Object.entries(given)) {
    const other = wanted[name];
    if (!isSchema(schema) || !isSchema(other)) continue;
    const problem = misfit(schema, other, path === "" ? name : `${path}.${name}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function itemMisfit(from: JsonSchema, to: JsonSchema, path: string): string | undefined {
  const [given, wanted] = [from.prefixItems, to.prefixItems];
  if (Array.isArray(given) && Array.isArray(wanted)) {
    for (const [i, schema] of given.entries()) {
      const other: unknown = wanted[i];
      if (!isSchema(schema) || !isSchema(other)) continue;
      const problem = misfit(schema, other, `${path}[${i}]`);
      if (problem !== undefined) return problem;
    }
  }
  if (!isSchema(from.items) || !isSchema(to.items)) return undefined;
  return misfit(from.items, to.items, `${path}[]`);
}
