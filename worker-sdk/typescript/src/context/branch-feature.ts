/** Branches, maps, scopes and clean-ups: code that has a scope of its own. */
import { UsageError } from "../errors.ts";
import { checkName } from "../run/keys.ts";
import { mapItems, runBranches, settle } from "./branches.ts";
import { guarded } from "./place.ts";
import { StepFeature } from "./step-feature.ts";
import type { Context, MapOptions } from "./types.ts";

export abstract class BranchFeature extends StepFeature {
  all(branches: unknown): Promise<never> {
    return guarded(() => runBranches(this.here, "all", branches));
  }
  allSettled(branches: unknown): Promise<never> {
    return guarded(() => runBranches(this.here, "allSettled", branches));
  }
  race(branches: unknown): Promise<never> {
    return guarded(() => runBranches(this.here, "race", branches));
  }

  map<T, R>(
    name: string,
    items: Iterable<T>,
    ...rest:
      | [options: MapOptions<T>, fn: (item: T, ctx: Context, index: number) => R]
      | [fn: (item: T, ctx: Context, index: number) => R]
  ): Promise<Awaited<R>[]> {
    const [options, fn] = rest.length === 2 ? rest : [{}, rest[0]];
    return guarded(() => {
      checkName("ctx.map", name);
      if (typeof fn !== "function") {
        throw new UsageError(`ctx.map("${name}") needs a function to run for each item`);
      }
      return mapItems(this.here, name, [...items], options, fn);
    });
  }

  mapSettled<T, R>(
    name: string,
    items: Iterable<T>,
    ...rest:
      | [options: MapOptions<T>, fn: (item: T, ctx: Context, index: number) => R]
      | [fn: (item: T, ctx: Context, index: number) => R]
  ): Promise<PromiseSettledResult<Awaited<R>>[]> {
    const [options, fn] = rest.length === 2 ? rest : [{}, rest[0]];
    const settled = async (item: T, ctx: Context, index: number) =>
      settle(() => fn(item, ctx, index));
    return this.map(name, items, options, typeof fn === "function" ? settled : fn);
  }

  scope<R>(name: string, fn: (ctx: Context) => R): Promise<Awaited<R>> {
    return guarded(() => this.#runScope(name, fn, "scope:"));
  }

  async #runScope<R>(
    name: string,
    fn: (ctx: Context) => R,
    namespace: "scope:" | "cleanup:",
  ): Promise<Awaited<R>> {
    checkName("a scope", name);
    const here = this.here.scopeHere;
    const segment = here.claimSegment(namespace, name, undefined);
    const inner = namespace === "cleanup:" ? here.shield(segment) : here.child(segment);
    const uses = here.enter(inner.prefix);
    try {
      return await this.enter(inner, fn);
    } finally {
      here.leave(uses);
    }
  }

  cleanup<R>(fn: (ctx: Context) => R, name = "cleanup"): Promise<Awaited<R>> {
    return guarded(() => this.#runScope(name, fn, "cleanup:"));
  }
}
