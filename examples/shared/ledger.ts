/**
 * The world outside, as a file: who is asked to do something writes a line. Like a bank or a mail
 * service it takes an idempotency key, so that asking twice does it once.
 */
import { appendFile, readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import type { StepContext } from "@pawl/worker";

interface Line {
  readonly key: string;
  readonly text: string;
}

async function read(file: string): Promise<Line[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Line => JSON.parse(line));
}

/** All that was done, in order. */
export async function readLedger(file: string): Promise<string[]> {
  return (await read(file)).map(({ text }) => text);
}

/** Does it, unless this step has done it before; then waits for PACE_MS, for you to kill the worker. */
export async function act(step: StepContext, file: string, text: string): Promise<void> {
  const key = step.idempotencyKey;
  const known = (await read(file)).some((line) => line.key === key);
  if (!known) await appendFile(file, `${JSON.stringify({ key, text })}\n`);
  await pace(step, text);
}

/** The worst moment to die: it is done, and not yet recorded. */
export async function pace(step: StepContext, what: string): Promise<void> {
  console.log(what);
  await pause(Number(process.env.PACE_MS ?? 0), undefined, { signal: step.abortSignal });
}
