/**
 * Goal: the example picks sentences of prose only, the same ones each time, and each says something
 * else.
 * Method: texts whose outcome is plain to see; the workflow called as a function, with no server.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listTexts, readText } from "@pawl/examples/digest/files.ts";
import { readProse } from "@pawl/examples/digest/markdown.ts";
import { chooseSentences, countTerms } from "@pawl/examples/digest/rank.ts";
import { digest } from "@pawl/examples/digest/workflow.ts";
import { afterAll, beforeAll, expect, test } from "vitest";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pawl-digest-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const sentence = "The quick brown fox jumps over a lazy dog at noon.";

test.for([
  ["a paragraph", sentence],
  ["front matter", `---\ntitle: not this one, which has enough words to count.\n---\n${sentence}`],
  [
    "a fenced block",
    `~~~~ts\nThis is code and has enough words to be one.\n~~~\n~~~~\n${sentence}`,
  ],
  [
    "a fence in a list",
    `- \`\`\`sh\n  Run this command and then wait until it has ended.\n  \`\`\`\n\n${sentence}`,
  ],
  ["indented code", `    This is code and it has enough words to count.\n\n${sentence}`],
  [
    "a table",
    `| a | b |\n|---|---|\n| These are words in a row of a table, many. | x |\n\n${sentence}`,
  ],
  ["a comment", `<!-- This is hidden from all who read, and long enough. -->\n${sentence}`],
  [
    "a definition",
    `[fox]: https://example.org "The title of a link that is long enough."\n\n${sentence}`,
  ],
  [
    "marks",
    "The *quick* **brown** `fox` [jumps](https://example.org/a_b) over ~~a~~ _lazy_ dog at noon.",
  ],
  ["entities and tags", "The quick brown fox <b>jumps</b>&nbsp;over a lazy dog at noon."],
  ["a broken line", "> The quick brown fox jumps\n> over a lazy dog\n> at noon."],
  ["a list item", `1. ${sentence}\n2. Short.`],
] as const)("prose is read out of %s", ([, markdown]) => {
  expect(readProse(markdown).sentences.map(({ text }) => text)).toEqual([sentence]);
});

test("headings of both kinds name sections, and inline code has no marks", () => {
  const { title, sentences } = readProse(
    `The title\n=========\n\n${sentence}\n\n## Part *two* ##\n\nHere \`a_b *c*\` is a piece of code, and __this__ is not, it is loud, i.e. strong.`,
  );
  expect(title).toBe("The title");
  expect(sentences).toEqual([
    { text: sentence, section: "The title" },
    {
      text: "Here a_b *c* is a piece of code, and this is not, it is loud, i.e. strong.",
      section: "Part two",
    },
  ]);
});

const fox = [
  "The fox lives in the forest and hunts its mice.",
  "In the deep forest a fox hunts mice at night.",
  "A fox that hunts mice at night sleeps in the forest by day.",
  "Bread is made of flour, water, patience and some salt.",
];

test("the most central sentence comes first, and the next one says something else", () => {
  const [first, second, ...more] = [...chooseSentences(fox, 3)].map(({ index }) => index);
  expect(fox.slice(0, 3)).toContain(fox[first ?? -1]);
  expect(second).not.toBe(first);
  expect(more).toHaveLength(1);
  // Two of the same words: the second one of them is worth least.
  const twice = [
    "A fox hunts mice at night.",
    "A fox hunts mice at night.",
    "A fox sleeps by day.",
  ];
  expect([...chooseSentences(twice, 3)].map(({ index }) => index).at(-1)).toBe(1);
});

test("ranking bears nothing, one sentence, and sentences without words", () => {
  expect([...chooseSentences([], 3)]).toEqual([]);
  expect([...chooseSentences(["Only this one here."], 3)]).toEqual([{ index: 0, score: 1 }]);
  expect([...chooseSentences(["…", "?!"], 3)].map(({ index }) => index)).toEqual([0, 1]);
});

test("terms are counted without plural endings and shown as they are written", () => {
  expect(countTerms(["Foxes hunt. The fox sleeps; many foxes hunt mice."], 2)).toMatchObject([
    { word: "foxes" },
    { word: "hunt" },
  ]);
});

test("the workflow makes the same report each time, with no server and no pause", async () => {
  const dir = join(folder, "texts");
  await mkdir(join(dir, "node_modules"), { recursive: true });
  await mkdir(join(dir, "b"));
  await writeFile(join(dir, "a.md"), `# Foxes\n\n${fox.join(" ")}`);
  await writeFile(
    join(dir, "b", "c.txt"),
    `${fox[0]} Cheese is made of milk, of some salt and patience.`,
  );
  await writeFile(join(dir, "node_modules", "x.md"), sentence);
  await writeFile(join(dir, "empty.md"), "");
  expect(await listTexts(dir)).toEqual(["a.md", "b/c.txt", "empty.md"]);
  expect(await readText(join(dir, "empty.md"))).toBe("");

  const input = { dir, outputDir: join(folder, "out"), sentences: 3 };
  const first = await digest(input);
  const second = await digest(input);
  expect(first.report).not.toBe(second.report);
  const report = await readFile(first.report, "utf8");
  expect(await readFile(second.report, "utf8")).toBe(report);
  expect(first).toMatchObject({ files: 3, sentences: 6 });
  expect(first.keywords).toContain("fox");
  // Both texts say it; the report says it once.
  expect(report.split(fox[0] ?? "")).toHaveLength(report.includes(fox[0] ?? "") ? 3 : 1);
  expect(report).toContain("## b/c.txt");
});

test("the workflow says what is wrong with its input", async () => {
  const outputDir = join(folder, "out");
  await expect(digest({ dir: "", outputDir })).rejects.toThrow(/dir/);
  await expect(digest({ dir: folder, files: ["../x.md"], outputDir })).rejects.toThrow(/not in/);
  await mkdir(join(folder, "none"));
  const none = digest({ dir: join(folder, "none"), outputDir });
  await expect(none).rejects.toThrow(/no Markdown or text file/);
});
