/** Limits on when the runs of a workflow may start. Keys are templates over the input, `{a.b}`. */
export interface FlowControl {
  readonly concurrency?: ConcurrencyLimit;
  readonly rate?: RateLimit;
  /** Runs that are held back pass in turns, one of each such key; empty: in their order. */
  readonly fairnessKey: string;
}

/** How many runs may be under way at once: ready for a worker, or held by one. */
export interface ConcurrencyLimit {
  readonly limit: number;
  readonly key: string;
}

/** How many runs may start in any period. */
export interface RateLimit {
  readonly limit: number;
  readonly periodMs: number;
  readonly key: string;
}

export const NO_FLOW: FlowControl = Object.freeze({ fairnessKey: "" });

/** As stored with a workflow. */
export function flowFrom(text: string): FlowControl {
  return text === "" ? NO_FLOW : (JSON.parse(text) as FlowControl);
}

/** Empty where there is nothing to store. */
export function flowText(flow: FlowControl): string {
  const isEmpty =
    flow.concurrency === undefined && flow.rate === undefined && flow.fairnessKey === "";
  return isEmpty ? "" : JSON.stringify(flow);
}

const VARIABLE = /\{([^{}]*)\}/g;

/** What is wrong with a template; undefined: nothing. Completes the sentence "The key …". */
export function templateProblem(template: string): string | undefined {
  const brace = template.replaceAll(VARIABLE, (all) => " ".repeat(all.length)).search(/[{}]/);
  if (brace >= 0)
    return `has a "${template[brace]}" at index ${brace} that belongs to no {variable}`;
  const empty = [...template.matchAll(VARIABLE)].find(([, path]) => path?.trim() === "");
  return empty === undefined ? undefined : `has a variable without a name at index ${empty.index}`;
}

/** Whether the key depends on the input. */
export function isTemplate(key: string): boolean {
  return key.search(VARIABLE) >= 0;
}

/**
 * The key of one run.
 *
 * @returns undefined and the variable at fault, where the input has no text, number or truth value
 */
export function renderKey(
  template: string,
  input: unknown,
): { readonly key: string } | { readonly missing: string } {
  let missing: string | undefined;
  const key = template.replaceAll(VARIABLE, (_, path: string) => {
    const value = valueAt(input, path.trim());
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      return String(value);
    }
    missing ??= path.trim();
    return "";
  });
  return missing === undefined ? { key } : { missing };
}

function valueAt(input: unknown, path: string): unknown {
  let at: unknown = input;
  for (const part of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = Reflect.get(at, part);
  }
  return at;
}
