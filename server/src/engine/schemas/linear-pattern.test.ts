/**
 * Goal: a pattern that runs in linear time finds what JavaScript's own engine finds.
 * Method: patterns of all kinds, and random ones, on random texts of characters that engines see
 * differently; the seed is printed where one differs.
 */
import { expect, test } from "vitest";
import { linearPattern } from "./linear-pattern.ts";

const LETTERS = [
  ..."ab01_- .,[]()$^\\/\n\r\t\v\f\0",
  " ",
  "\u2028",
  "\ufeff",
  "é",
  "ſ",
  "K",
  "😀",
  "\ud83d",
];

const TAKEN = [
  "^(a+)+$",
  "^[a-z0-9_-]{3,16}$",
  "\\s",
  "^\\S+$",
  "[\\s\\d]x?",
  "[^\\s]",
  ".",
  "^.$",
  "^a.b$",
  "\\bab\\b",
  "\\Ba",
  "\\w+\\W",
  "[[a]",
  "[[:alpha:a]",
  "[^a]",
  "\\u0041|\\x61",
  "\\u{1f600}",
  "[\\u{1f600}-\\u{1f64f}]",
  "\\p{L}\\p{Nd}",
  "(?<name>a|b){2}",
  "(?:ab)*?$",
  "\\/\\.-",
  "a{0}b",
  "(a|b|)*c",
  "[a\\-z]",
  "[\\]\\\\]",
];

const LEFT_TO_JAVASCRIPT = [
  "(a)\\1",
  "(?=a)b",
  "(?!a)b",
  "(?<=a)b",
  "(?<!a)b",
  "[]",
  "[^]",
  "\\ud83d",
  "\\p{Script=Greek}",
  "[\\S]",
  "[\\w-.]",
  "(?i:a)",
  "\\cA",
  "a{1001}",
  "(a{1000}){1000}",
  "\\-",
  "(",
];

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function textOf(next: () => number, max: number): string {
  return Array.from(
    { length: Math.floor(next() * max) },
    () => LETTERS[Math.floor(next() * LETTERS.length)],
  ).join("");
}

const seed = Number(process.env.PAWL_SEED ?? Math.floor(Math.random() * 2 ** 31));

test.each(TAKEN)("%s is taken, and means the same", (source) => {
  const pattern = linearPattern(source);
  if (pattern === undefined) throw new Error(`${source} is left to JavaScript.`);
  const own = new RegExp(source, "u");
  const next = random(seed);
  for (let i = 0; i < 2_000; i += 1) {
    const text = textOf(next, 7);
    expect(pattern.test(text), `seed ${seed}: ${JSON.stringify(text)}`).toBe(own.test(text));
  }
});

test.each(LEFT_TO_JAVASCRIPT)("%s is left to JavaScript", (source) => {
  expect(linearPattern(source)).toBeUndefined();
});

test("random patterns mean the same", () => {
  const next = random(seed);
  const parts = [...TAKEN, "a", "b", "[^b]", "(?:a|b)", "\\s*", ".?", "(", ")", "|", "*", "^", "$"];
  let taken = 0;
  for (let i = 0; i < 1_500; i += 1) {
    const source = Array.from(
      { length: 1 + Math.floor(next() * 4) },
      () => parts[Math.floor(next() * parts.length)],
    ).join("");
    const pattern = linearPattern(source);
    if (pattern === undefined) continue;
    taken += 1;
    const own = new RegExp(source, "u");
    for (let j = 0; j < 20; j += 1) {
      const text = textOf(next, 6);
      expect(pattern.test(text), `seed ${seed}: ${source} on ${JSON.stringify(text)}`).toBe(
        own.test(text),
      );
    }
  }
  expect(taken).toBeGreaterThan(100);
});
