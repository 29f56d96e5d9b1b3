import { AsyncLocalStorage } from "node:async_hooks";
import { UsageError } from "../errors.ts";
import type { PlacedContext } from "./place.ts";
import type { Context } from "./types.ts";

/** Counts up where contexts of two versions of the SDK cannot stand for each other any more. */
const storageKey = Symbol.for("pawl.contexts.1");
const shared: typeof globalThis & { [storageKey]?: AsyncLocalStorage<PlacedContext> } = globalThis;

/**
 * Which context the code runs in; follows it through awaits and callbacks. All copies of the SDK in
 * a process share it: a helper library may bring its own, and its steps are to be recorded as well.
 */
export const contexts: AsyncLocalStorage<PlacedContext> =
  shared[storageKey] ?? new AsyncLocalStorage();
shared[storageKey] = contexts;

/** The context of the workflow, branch or step that is running; undefined outside of all. */
export function currentOrUndefined(): Context | undefined {
  return contexts.getStore();
}

/** The context of the workflow, branch or step that is running. Throws UsageError outside of all. */
export function current(): Context {
  const context = contexts.getStore();
  if (context === undefined) {
    throw new UsageError(
      "there is no run here: current() works inside of a workflow, its branches and its steps",
    );
  }
  return context;
}
