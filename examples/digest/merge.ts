/** Makes one digest of what was chosen from many files. */
import { compare, cosine, type Term, vectorsOf } from "./rank.ts";

/** A sentence chosen from a file. */
export interface Choice {
  readonly text: string;
  readonly section: string;
  /** Place among the file's sentences, from 0. */
  readonly index: number;
  /** How central it is in its file, 0 to 1. */
  readonly score: number;
}

/** What is known of one file after its own steps. */
export interface FileDigest {
  readonly path: string;
  readonly title: string;
  /** Sentences in the file. */
  readonly sentences: number;
  readonly terms: readonly Term[];
  readonly chosen: readonly Choice[];
}

/** Sentences of different files that are more alike than this say the same. */
const sameFrom = 0.75;

/**
 * Drops sentences that another file says, too; the one that is more central in its own file stays.
 * What stays is in the order of the text.
 */
export function dropRepeated(files: readonly FileDigest[]): FileDigest[] {
  const all = files.flatMap((file) => file.chosen.map((choice) => ({ path: file.path, choice })));
  const vectors = vectorsOf(all.map(({ choice }) => choice.text));
  const byScore = [...all.keys()].sort(
    (a, b) => (all[b]?.choice.score ?? 0) - (all[a]?.choice.score ?? 0) || a - b,
  );
  const kept: number[] = [];
  for (const i of byScore) {
    const vector = vectors[i] ?? new Map<string, number>();
    if (kept.every((k) => cosine(vectors[k] ?? new Map(), vector) < sameFrom)) kept.push(i);
  }
  const stays = new Set(kept.map((i) => all[i]?.choice));
  return files.map((file) => ({
    ...file,
    chosen: file.chosen.filter((choice) => stays.has(choice)).sort((a, b) => a.index - b.index),
  }));
}

/** The words that tell what the files are about: frequent in some of them, not common to all. */
export function pickKeywords(files: readonly FileDigest[], count: number): string[] {
  const found = new Map<string, { word: string; weight: number; files: number }>();
  for (const { terms, sentences } of files) {
    for (const { term, word, share } of terms) {
      const known = found.get(term) ?? { word, weight: 0, files: 0 };
      // A long text has more to say, but not in proportion to its length.
      const weight = known.weight + share * Math.log(1 + sentences);
      found.set(term, { word: known.word, weight, files: known.files + 1 });
    }
  }
  const weigh = (term: { weight: number; files: number }) =>
    term.weight * Math.log(1 + files.length / term.files);
  return [...found.values()]
    .sort((a, b) => weigh(b) - weigh(a) || compare(a.word, b.word))
    .slice(0, count)
    .map(({ word }) => word);
}

/** The most central sentence of each of the files that have most to say, the longest file first. */
export function pickHighlights(
  files: readonly FileDigest[],
  count: number,
): { path: string; text: string }[] {
  const longest = [...files].sort((a, b) => b.sentences - a.sentences || compare(a.path, b.path));
  return longest.slice(0, count).flatMap(({ path, chosen }) => {
    const [first] = [...chosen].sort((a, b) => b.score - a.score || a.index - b.index);
    return first === undefined ? [] : [{ path, text: first.text }];
  });
}
