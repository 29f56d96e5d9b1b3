/** What a case is; files are checked against this as they are read. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const json: z.ZodType<unknown> = z.unknown();

const action = z.union([
  /** Waits until the journal has this entry, as `expect.journal` writes them. */
  z.strictObject({ awaitEntry: z.string(), count: z.number().int().positive().default(1) }),
  z.strictObject({ awaitState: z.string() }),
  /** Waits until a child of the run is in that state. */
  z.strictObject({ awaitChild: z.string() }),
  /** Waits until that many effects of the name were made. */
  z.strictObject({ awaitEffect: z.string(), count: z.number().int().positive().default(1) }),
  /** Ends the worker: `SIGKILL`, or SIGTERM and its drain. */
  z.strictObject({ killWorker: z.literal(true) }),
  z.strictObject({ stopWorker: z.literal(true) }),
  /** Starts a worker: of this SDK or another one, as that deploy. */
  z.strictObject({
    startWorker: z.strictObject({ sdk: z.string().optional(), deploy: z.number().default(0) }),
  }),
  /** SIGKILL, and a new server on the same file and ports, after that time. */
  z.strictObject({ killServer: z.literal(true), awayMs: z.number().default(0) }),
  z.strictObject({
    signal: z.strictObject({ name: z.string(), value: json, id: z.string().optional() }),
  }),
  /** Returns the open question of that step key. */
  z.strictObject({
    answer: z.strictObject({
      key: z.string(),
      value: json.optional(),
      actor: z.string().default("ada"),
      skip: z.boolean().default(false),
    }),
  }),
  /** Sends that JSON to the URL of the callback of that name, once the program has it. */
  z.strictObject({ post: z.strictObject({ callback: z.string(), value: json }) }),
  z.strictObject({ cancel: z.literal(true) }),
  z.strictObject({ pause: z.literal(true) }),
  z.strictObject({ resume: z.literal(true) }),
  z.strictObject({ retry: z.literal(true) }),
  z.strictObject({ waitMs: z.number() }),
]);

export type Action = z.infer<typeof action>;

const caseSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]+$/),
  /** The sentence that it proves. */
  promise: z.string(),
  programs: z.array(z.array(z.record(z.string(), json))).min(1),
  actions: z.array(action).default([]),
  /** Other SDKs that take part; the case is left out where one of them cannot be run. */
  needs: z.array(z.string()).default([]),
  /** How the worker talks to the server; both, each as a case of its own, unless said otherwise. */
  modes: z.array(z.enum(["stream", "poll"])).default(["stream"]),
  /**
   * The worker sees a server that is newer: enum values that it does not know, and these refusals, each once.
   */
  future: z
    .strictObject({
      refuse: z
        .array(
          z.strictObject({
            frame: z.enum(["stepStarted", "stepCompleted", "stepFailed"]),
            stepKey: z.string(),
            reason: z.string(),
            code: z.number(),
          }),
        )
        .default([]),
    })
    .optional(),
  expect: z.strictObject({
    state: z.string(),
    reason: z.string().optional(),
    output: json.optional(),
    failure: z.strictObject({ type: z.string(), message: z.string().optional() }).optional(),
    journal: z.array(z.string()).optional(),
    unordered: z.boolean().default(false),
    effects: z
      .record(z.string(), z.union([z.number(), z.tuple([z.number(), z.number()])]))
      .optional(),
    /** Types of live events, in order, among which others may be. */
    events: z.array(z.string()).optional(),
  }),
});

export type ConformanceCase = z.infer<typeof caseSchema> & { readonly file: string };

/** Every case of every file, in the order of the files' names. */
export async function readCases(): Promise<ConformanceCase[]> {
  const folder = join(import.meta.dirname, "cases");
  const cases: ConformanceCase[] = [];
  for (const file of (await readdir(folder)).sort()) {
    const list = z.array(caseSchema).parse(JSON.parse(await readFile(join(folder, file), "utf8")));
    for (const one of list) cases.push({ ...one, file });
  }
  const names = cases.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`Two cases have the name ${twice}.`);
  return cases;
}

/** Whether the case ends processes, or has a server of its own, so that it needs its own worker. */
export function isFaulty({ actions, programs, future }: ConformanceCase): boolean {
  return (
    future !== undefined ||
    JSON.stringify(programs).includes('"crash"') ||
    actions.some(
      (one) =>
        "killWorker" in one || "stopWorker" in one || "startWorker" in one || "killServer" in one,
    )
  );
}
