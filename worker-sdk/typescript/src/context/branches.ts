/**
 * Structured concurrency: each branch has a scope of its own, named by
 * the branch, so that no key depends on which is faster.
 *
 * `all`, `map`: when a branch fails, the others are ended (their AbortSignals
 * fire, and no step starts in them any more) and the failure is thrown once they
 * have settled, so that no clean-up runs beside a step that it is to undo. A step
 * body that ignores its AbortSignal delays that. `race` does not wait for those
 * who lost. `allSettled` ends nobody.
 */
import { Cancelled, UsageError } from "../errors.ts";
import { messageOf } from "../lib/foreign.ts";
import { countMax, wholeNumber } from "../lib/options.ts";
import { checkText, escapeName, type Namespace } from "../run/keys.ts";
import type { Scope, Uses } from "../run/scope.ts";
import type { Place } from "./place.ts";
import type { Context, MapOptions } from "./types.ts";

export type BranchMode = "all" | "allSettled" | "race";

type Branch = (ctx: Context) => unknown;

function refuseBranch(mode: BranchMode, name: string, branch: unknown): never {
  const isPromise = typeof branch === "object" && branch !== null && "then" in branch;
  throw new UsageError(
    `the branch "${name}" of ctx.${mode} is ${isPromise ? "a promise, whose work has begun outside of the branch" : `a ${typeof branch}`}; pass functions: ctx.${mode}({ ${/^[A-Za-z_]\w*$/.test(name) ? name : `branch${name}`}: () => ctx.step(…) })`,
  );
}

function namedBranches(mode: BranchMode, branches: unknown): [string, Branch][] {
  if (typeof branches !== "object" || branches === null) {
    throw new UsageError(
      `ctx.${mode} needs a list of functions, or an object of them; it got ${typeof branches}`,
    );
  }
  return Object.entries(branches).map(([name, branch]: [string, unknown]) => {
    checkText(`the name of a branch of ctx.${mode}`, name);
    return typeof branch === "function"
      ? [name, branch as Branch]
      : refuseBranch(mode, name, branch);
  });
}

class Group {
  readonly #parent: Place;
  readonly #uses: (Uses | undefined)[] = [];
  readonly #scopes: Scope[] = [];

  constructor(parent: Place) {
    this.#parent = parent;
  }

  branch<R>(scope: Scope, fn: (ctx: Context) => R): Promise<Awaited<R>> {
    this.#scopes.push(scope);
    this.#uses.push(this.#parent.scopeHere.enter(scope.prefix));
    return this.#parent.enter(scope, fn);
  }

  /** Ends all branches: aborts their signals, and starts nothing in them any more. */
  end(reason: string): void {
    const { run } = this.#parent.base;
    // Each branch of a cancelled run is told by itself, and cleans up.
    if (run.cancelReason !== undefined) return;
    for (const scope of this.#scopes) run.endScope(scope, reason);
    // A worker that had the run before may have got further in a branch than this one ever will.
    const prefixes = this.#scopes.map(({ prefix }) => prefix);
    for (const key of run.memo.giveUpUnasked(prefixes)) run.reports.closeWait(key);
  }

  leave(): void {
    for (const uses of this.#uses) this.#parent.scopeHere.leave(uses);
  }
}

/** Waits for all; at the first failure ends the others, and throws it once they have settled. */
async function allOrFirstError(group: Group, running: readonly Promise<unknown>[]): Promise<void> {
  let failed: { readonly error: unknown } | undefined;
  await Promise.all(
    running.map((branch) =>
      branch.then(
        () => undefined,
        (error: unknown) => {
          if (failed !== undefined) return;
          failed = { error };
          group.end(`another branch failed: ${messageOf(error)}`);
        },
      ),
    ),
  );
  if (failed !== undefined) throw failed.error;
}

async function outcomeOf(
  group: Group,
  mode: BranchMode,
  names: string[] | undefined,
  running: Promise<unknown>[],
): Promise<unknown> {
  if (mode === "race") {
    try {
      return await Promise.race(running);
    } finally {
      group.end("another branch has won the race");
    }
  }
  if (mode === "all") {
    await allOrFirstError(group, running);
    return named(names, await Promise.all(running));
  }
  const outcomes = await Promise.allSettled(running);
  // Being cancelled is for the run to deal with, not one branch's outcome.
  for (const outcome of outcomes) {
    if (outcome.status === "rejected" && outcome.reason instanceof Cancelled) throw outcome.reason;
  }
  return named(names, outcomes);
}

/** Results under the names of their branches, or as the list that the branches were. */
function named(
  names: string[] | undefined,
  values: unknown[],
): unknown[] | Record<string, unknown> {
  if (names === undefined) return values;
  return Object.fromEntries(names.map((name, i) => [name, values[i]]));
}

/** `ctx.all`, `ctx.allSettled` and `ctx.race`. */
export async function runBranches(
  parent: Place,
  mode: BranchMode,
  branches: unknown,
): Promise<unknown> {
  const list = namedBranches(mode, branches);
  if (mode === "race" && list.length === 0)
    throw new UsageError("ctx.race needs at least one branch");
  const here = parent.scopeHere;
  const namespace: Namespace = "all:";
  const scopes = list.map(([name]) => here.child(here.claimSegment(namespace, name, undefined)));
  const group = new Group(parent);
  if (mode === "race") for (const scope of scopes) scope.race = group;
  try {
    const running = list.map(([, fn], i) => group.branch(scopes[i] as Scope, fn));
    return await outcomeOf(
      group,
      mode,
      Array.isArray(branches) ? undefined : list.map(([name]) => name),
      running,
    );
  } finally {
    group.leave();
  }
}

function itemSegments<T>(name: string, items: readonly T[], options: MapOptions<T>): string[] {
  const seen = new Set<string>();
  return items.map((item, i) => {
    const key = String(options.key === undefined ? i : options.key(item, i));
    checkText(`the key of item ${i} of ctx.map("${name}")`, key);
    if (key === "") throw new UsageError(`the key of item ${i} of ctx.map("${name}") is empty`);
    if (seen.has(key)) {
      throw new UsageError(
        `two items of ctx.map("${name}") have the key "${key}"; keys distinguish items`,
      );
    }
    seen.add(key);
    return escapeName(key);
  });
}

/** What became of one item. Being cancelled is for the run to deal with. */
export async function settle<R>(work: () => R): Promise<PromiseSettledResult<Awaited<R>>> {
  try {
    return { status: "fulfilled", value: await work() };
  } catch (reason) {
    if (reason instanceof Cancelled) throw reason;
    return { status: "rejected", reason };
  }
}

/** `ctx.map`. */
export async function mapItems<T, R>(
  parent: Place,
  name: string,
  items: readonly T[],
  options: MapOptions<T>,
  fn: (item: T, ctx: Context, index: number) => R,
): Promise<Awaited<R>[]> {
  const { concurrency = Number.POSITIVE_INFINITY } = options;
  if (concurrency !== Number.POSITIVE_INFINITY)
    wholeNumber(`the concurrency of ctx.map("${name}")`, concurrency, 1, countMax);
  const segments = itemSegments(name, items, options);
  const here = parent.scopeHere;
  const scope = here.child(here.claimSegment("map:", name, undefined));
  const group = new Group(parent);
  const results: Awaited<R>[] = new Array(items.length);
  let next = 0;
  let stopped = false;
  const lane = async (): Promise<void> => {
    while (next < items.length && !stopped) {
      const i = next;
      next += 1;
      try {
        results[i] = await group.branch(scope.child(segments[i] as string), (ctx) =>
          fn(items[i] as T, ctx, i),
        );
      } catch (error) {
        stopped = true;
        throw error;
      }
    }
  };
  try {
    const lanes = Array.from({ length: Math.min(concurrency, items.length) }, lane);
    await allOrFirstError(group, lanes);
    return results;
  } finally {
    group.leave();
  }
}
