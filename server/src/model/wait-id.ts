/**
 * The ids of waits, which outsiders name them by. An id is made from the wait's run and its step
 * key, so nothing needs to be stored for it: it says when the run was created, by which an index
 * finds the run, and has a digest of the run's uid and of the key, by which the wait is known.
 *
 * `w`, then in base 62: 8 digits of time, 3 of the run's digest, 10 of the wait's.
 */
import { hash } from "node:crypto";

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE = DIGITS.length;
const TIME_DIGITS = 8;
const RUN_DIGITS = 3;
/** The digits that 30 bits need. */
const HALF_DIGITS = 5;
const KEY_DIGITS = 2 * HALF_DIGITS;
const FORM = new RegExp(`^w[0-9A-Za-z]{${TIME_DIGITS + RUN_DIGITS + KEY_DIGITS}}$`);

/** The run that a wait is of, as far as its id is made from it. */
export interface RunOfWait {
  /** In ms since the epoch. */
  readonly createdAt: number;
  readonly runUid: string;
}

export function waitIdOf(run: RunOfWait, key: string): string {
  const digest = digestOf(`${run.runUid}/${key}`);
  const first = digitsOf(digest.readUInt32BE(0), HALF_DIGITS);
  return `${prefixOf(run)}${first}${digitsOf(digest.readUInt32BE(4), HALF_DIGITS)}`;
}

/** When the wait's run was created, in ms since the epoch; undefined for what is not a wait's id. */
export function createdAtOf(waitId: string): number | undefined {
  if (!FORM.test(waitId)) return undefined;
  let value = 0;
  for (const digit of waitId.slice(1, 1 + TIME_DIGITS)) {
    value = value * BASE + DIGITS.indexOf(digit);
  }
  return value;
}

/** Whether the id can be one of that run's; a run that it is not of passes once in 238,328 times. */
export function mayBeOf(waitId: string, run: RunOfWait): boolean {
  return waitId.startsWith(prefixOf(run));
}

function prefixOf({ createdAt, runUid }: RunOfWait): string {
  const run = digitsOf(digestOf(runUid).readUInt32BE(0), RUN_DIGITS);
  return `w${digitsOf(createdAt, TIME_DIGITS)}${run}`;
}

function digestOf(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

/** The lowest digits of a number. */
function digitsOf(value: number, count: number): string {
  let rest = value;
  let text = "";
  for (let at = 0; at < count; at += 1) {
    text = `${DIGITS.charAt(rest % BASE)}${text}`;
    rest = Math.floor(rest / BASE);
  }
  return text;
}
