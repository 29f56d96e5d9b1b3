import { AsyncLocalStorage } from "node:async_hooks";
import { UsageError } from "../errors.ts";
import type { RunContext } from "./context.ts";
import type { Context } from "./types.ts";

/** Which context the code runs in; follows it through awaits and callbacks. */
export const contexts = new AsyncLocalStorage<RunContext>();

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
