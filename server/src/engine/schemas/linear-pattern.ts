/**
 * JavaScript's patterns for an engine that takes linear time (RE2). Only what means the same in both
 * is translated; for the rest there is JavaScript's own engine, in a thread that can be ended.
 */
import { createRequire } from "node:module";
import type { RE2JS } from "re2js";

const require = createRequire(import.meta.url);

/** A pattern, and about how many steps one character of a text takes at most. */
export interface LinearPattern {
  readonly weight: number;
  test(text: string): boolean;
}

/** Undefined where it has to be JavaScript's. */
export function linearPattern(source: string): LinearPattern | undefined {
  const translated = translate(source);
  if (translated === undefined) return undefined;
  const module: { readonly RE2JS: typeof RE2JS } = require("re2js");
  try {
    const pattern = module.RE2JS.compile(translated);
    const instructions = pattern.re2().prog.numInst();
    return { weight: Number(instructions), test: (text) => pattern.test(text) };
  } catch {
    // Too large for it, or a kind of class that it does not know.
    return undefined;
  }
}

/** What `\s` stands for in JavaScript. */
const SPACES =
  "\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}";
const NO_LINE_END = "[^\\n\\r\\x{2028}\\x{2029}]";
/** The same in both, inside of a class or not. */
const SAME_ESCAPE = /^\\(?:[dDwWtnvfr]|p\{[A-Z][a-z]?\}|P\{[A-Z][a-z]?\}|[\^$\\.*+?()[\]{}|/-])/;
const CODE_POINT = /^\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\})/;
/** Groups that capture or not; all other forms look around or set flags. */
const GROUP = /^\((?!\?)|^\(\?:|^\(\?<[A-Za-z_]\w*>/;

/** Reads the pattern as if it had the flag `u`, as JSON Schema asks. */
function translate(source: string): string | undefined {
  try {
    new RegExp(source, "u");
  } catch {
    return undefined;
  }
  let out = "";
  let isInClass = false;
  for (let at = 0; at < source.length; ) {
    const rest = source.slice(at, at + 80);
    const piece = isInClass ? inClass(rest) : outside(rest);
    if (piece === undefined) return undefined;
    const [length, text] = piece;
    if (!isInClass && rest.startsWith("[")) isInClass = true;
    else if (isInClass && rest.startsWith("]")) isInClass = false;
    out += text;
    at += length;
  }
  return out;
}

/** How much of the source it is, and what it becomes. */
type Piece = readonly [length: number, text: string];

function outside(rest: string): Piece | undefined {
  if (rest.startsWith("\\")) {
    if (/^\\[bB]/.test(rest)) return [2, rest.slice(0, 2)];
    if (rest.startsWith("\\s")) return [2, `[${SPACES}]`];
    if (rest.startsWith("\\S")) return [2, `[^${SPACES}]`];
    return escaped(rest);
  }
  if (rest.startsWith(".")) return [1, NO_LINE_END];
  if (rest.startsWith("(")) {
    const group = GROUP.exec(rest)?.[0];
    return group === undefined ? undefined : [group.length, group === "(?:" ? group : "("];
  }
  // Neither has an equal there: an empty class, and all characters.
  if (/^\[\^?\]/.test(rest)) return undefined;
  if (rest.startsWith("[^")) return [2, "[^"];
  return literal(rest);
}

function inClass(rest: string): Piece | undefined {
  if (rest.startsWith("\\s")) return [2, SPACES];
  if (rest.startsWith("\\")) return escaped(rest);
  // For RE2 it may begin a class by name.
  if (rest.startsWith("[")) return [1, "\\["];
  return literal(rest);
}

function escaped(rest: string): Piece | undefined {
  const same = SAME_ESCAPE.exec(rest)?.[0];
  if (same !== undefined) return [same.length, same === "\\/" ? "/" : same];
  const [all, ...codes] = CODE_POINT.exec(rest) ?? [];
  const code = codes.find((one) => one !== undefined);
  if (all === undefined || code === undefined) return undefined;
  const point = Number.parseInt(code, 16);
  // Half a character: two of them may be one.
  if (point >= 0xd800 && point <= 0xdfff) return undefined;
  return [all.length, `\\x{${point.toString(16)}}`];
}

function literal(rest: string): Piece | undefined {
  const character = String.fromCodePoint(rest.codePointAt(0) ?? 0);
  return character.isWellFormed() ? [character.length, character] : undefined;
}
