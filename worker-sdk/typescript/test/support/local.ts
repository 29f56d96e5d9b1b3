import { type Context, runLocally, workflow } from "../../src/index.ts";

/** Runs the body of a workflow without a platform. */
export function run<T>(
  body: (ctx: Context) => Promise<T>,
  options: Parameters<typeof runLocally>[2] = {},
): Promise<T> {
  return runLocally(workflow("test", body), undefined, { skipTime: true, ...options });
}

export async function thrown(work: () => Promise<unknown>): Promise<Error> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}
