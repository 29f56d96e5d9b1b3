/** What a run waits for and cannot get without a platform, and how to prepare it. */
import { UsageError } from "../errors.ts";

function missing(what: string, option: string, name: string): UsageError {
  const prepared = `{ ${option}: { ${JSON.stringify(name)}: [ … ] } }`;
  return new UsageError(`${what}; use runLocally(workflow, input, ${prepared})`);
}

export function noSignal(name: string): UsageError {
  const what = `the run waits for the signal "${name}", which cannot come without a platform`;
  return missing(what, "signals", name);
}

export function noAnswer(question: string): UsageError {
  const what = `the run asks "${question}", which nobody can answer without a platform`;
  return missing(what, "answers", question);
}

export function noCallback(name: string): UsageError {
  const what = `the run waits for the callback "${name}", which nobody can call without a platform`;
  return missing(what, "callbacks", name);
}

export function noCron(cron: string): UsageError {
  return new UsageError(
    `the run sleeps until the next time of "${cron}", which takes a platform to tell; use runLocally(workflow, input, { skipTime: true })`,
  );
}
