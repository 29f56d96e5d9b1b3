/**
 * The workflow `digest`: reads the texts of a folder, picks the sentences that each turns on, and
 * writes a report with those that do not repeat each other.
 *
 *   list ─▶ for each file, some at a time: read ─▶ rank (streams what it picks) ─▶
 *           merge { dedupe, keywords } ─▶ write
 *
 * Every box is a step: recorded once, and replayed from then on. The text of a file is what it was
 * when it was read, however often the run continues. Same texts, same report.
 */
import { isAbsolute, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, TerminalError, workflow } from "@pawl/worker";
import { z } from "zod";
import { recordExecution } from "./audit.ts";
import { filesMax, listTexts, readText } from "./files.ts";
import { readProse, type Sentence } from "./markdown.ts";
import {
  type Choice,
  dropRepeated,
  type FileDigest,
  pickHighlights,
  pickKeywords,
} from "./merge.ts";
import { chooseSentences, countTerms } from "./rank.ts";
import { renderReport, writeReport } from "./report.ts";

/** Of a longer text the first sentences are ranked: the graph grows with their square. */
const sentencesMax = 1_500;

const input = z.object({
  /** Where the texts are. Files in it and below are taken: Markdown and plain text. */
  dir: z.string().min(1),
  /** Only these, as paths relative to `dir`. */
  files: z.array(z.string().min(1)).min(1).max(filesMax).optional(),
  /** How many sentences to pick from each file. */
  sentences: z.int().min(1).max(50).default(4),
  /** Where the report is written; it becomes `<run id>.md`. */
  outputDir: z.string().min(1),
  /** Files under way at the same time. */
  concurrency: z.int().min(1).max(32).default(2),
  /**
   * Waits this long (ms) after each sentence that is picked, for people who want to watch a run.
   * The work itself takes a few ms a file. 0: not at all.
   */
  paceMs: z.int().min(0).max(10_000).default(0),
});

const output = z.object({
  /** Path of the report. */
  report: z.string(),
  files: z.int(),
  /** Sentences read in all files. */
  sentences: z.int(),
  /** Sentences in the report. */
  chosen: z.int(),
  keywords: z.array(z.string()),
  highlights: z.array(z.object({ path: z.string(), text: z.string() })),
});

type Settings = z.output<typeof input>;

/** Gives the key sentences of a folder's texts, as a Markdown report. */
export const digest = workflow(
  "digest",
  {
    input,
    output,
    retry: { maxAttempts: 3 },
    description: "Picks the key sentences of a folder's Markdown and text files.",
  },
  async (ctx, settings) => {
    const paths = await ctx.step("list", (ctx) => {
      recordExecution(ctx);
      return findPaths(settings);
    });

    const files = await ctx.map(
      "file",
      paths,
      { key: (path) => path, concurrency: settings.concurrency },
      (path, ctx) => digestFile(ctx, path, settings),
    );

    const merged = await ctx.step("merge", async (ctx) => {
      recordExecution(ctx);
      const kept = await ctx.step("dedupe", (ctx) => {
        recordExecution(ctx);
        return dropRepeated(files);
      });
      const keywords = await ctx.step("keywords", (ctx) => {
        recordExecution(ctx);
        return pickKeywords(files, 8);
      });
      return { files: kept, keywords, highlights: pickHighlights(kept, 3) };
    });

    const report = await ctx.step("write", async (ctx) => {
      recordExecution(ctx);
      const path = join(resolve(settings.outputDir), `${fileName(ctx.runId)}.md`);
      await writeReport(path, renderReport(merged));
      return path;
    });

    return {
      report,
      files: files.length,
      sentences: files.reduce((sum, file) => sum + file.sentences, 0),
      chosen: merged.files.reduce((sum, file) => sum + file.chosen.length, 0),
      keywords: merged.keywords,
      highlights: merged.highlights,
    };
  },
);

/** Reads one file and ranks its sentences. */
async function digestFile(ctx: Context, path: string, settings: Settings): Promise<FileDigest> {
  const prose = await ctx.step("read", async (ctx) => {
    recordExecution(ctx);
    return readProse(await readText(join(resolve(settings.dir), path)));
  });
  const chosen = await ctx.step(
    "rank",
    (ctx) => {
      recordExecution(ctx);
      return pickSentences(prose.sentences, settings, ctx.abortSignal);
    },
    { reduce: "collect" },
  );
  const texts = prose.sentences.map(({ text }) => text);
  return {
    path,
    title: prose.title,
    sentences: texts.length,
    terms: countTerms(texts, 20),
    chosen,
  };
}

/** Yields each sentence as soon as it is picked; watchers of the run see it then. */
async function* pickSentences(
  sentences: readonly Sentence[],
  { sentences: count, paceMs }: Settings,
  signal: AbortSignal,
): AsyncGenerator<Choice> {
  const ranked = sentences.slice(0, sentencesMax);
  const texts = ranked.map(({ text }) => text);
  for (const { index, score } of chooseSentences(texts, count)) {
    const sentence = ranked[index];
    if (sentence !== undefined) yield { ...sentence, index, score };
    if (paceMs > 0) await sleep(paceMs, undefined, { signal });
  }
}

async function findPaths({ dir, files }: Settings): Promise<string[]> {
  if (files !== undefined) {
    const outside = files.find((path) => isAbsolute(path) || path.split(/[\\/]/).includes(".."));
    if (outside !== undefined) {
      throw new TerminalError(`${outside} is not in ${dir}; give paths relative to the folder.`);
    }
    return [...new Set(files)];
  }
  const paths = await listTexts(dir);
  if (paths.length === 0) {
    throw new TerminalError(`There is no Markdown or text file in ${resolve(dir)} or below.`);
  }
  if (paths.length > filesMax) {
    throw new TerminalError(
      `More than ${filesMax} texts are in ${resolve(dir)} and below; choose a smaller folder, or name files.`,
    );
  }
  return paths;
}

/** The run id with what a file's name cannot hold replaced. */
function fileName(runId: string): string {
  return runId.replaceAll(/[^\p{L}\p{N}._-]+/gu, "-");
}
