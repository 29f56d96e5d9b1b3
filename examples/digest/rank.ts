/**
 * Which sentences a text turns on, with no model and no training:
 *
 * - LexRank (G. Erkan and D. Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text
 *   Summarization", JAIR 22, 2004), in its continuous form: sentences are the nodes of a graph
 *   whose edges weigh the cosine of their TF-IDF vectors, and a sentence counts as much as those
 *   that are like it. The scores are the stationary distribution of a random walk on that graph, by
 *   power iteration, damped as PageRank is. TextRank (R. Mihalcea and P. Tarau, EMNLP 2004) is the
 *   same idea with a simpler similarity.
 * - Maximal Marginal Relevance (J. Carbonell and J. Goldstein, SIGIR 1998) picks from the ranking:
 *   each next sentence is the best that says something other than those already chosen.
 * - Words are compared without their plural endings, by the S-stemmer (D. Harman, "How Effective is
 *   Suffixing?", JASIS 42, 1991).
 *
 * All of it is deterministic: ties go to the earlier sentence.
 */

/** Words as rare terms with their weights; length 1. */
export type Vector = ReadonlyMap<string, number>;

/** Chance to follow an edge rather than to jump anywhere. */
const damping = 0.85;
/** Sentences that are less alike than this are not neighbours: common words join all of them. */
const similarityMin = 0.1;
/** Power iteration ends when the scores move by less than this in total, or after that many rounds. */
const tolerance = 1e-6;
const roundsMax = 100;
/** How much being central counts in the choice, against being different from what is chosen. */
const relevance = 0.5;

const stopWords = new Set(
  `a about above after again all also am an and any are as at be because been before being below
  between both but by can could did do does doing down during each else every few for from further
  get gets had has have having he her here hers him his how i if in into is it its itself just let
  like may me might more most much must my no nor not now of off on once one only or other our out
  over own per same see shall she should so some such than that the their them then there these they
  this those through to too under until up use used uses using very via was we were what when where
  whether which while who whom whose why will with without would you your yours`.split(/\s+/),
);

/** A word without its plural ending. */
function stem(word: string): string {
  if (word.length > 4 && /(?<![ae])ies$/.test(word)) return `${word.slice(0, -3)}y`;
  if (word.length > 4 && /(?<![aeo])es$/.test(word)) return word.slice(0, -1);
  if (word.length > 3 && /(?<![us])s$/.test(word)) return word.slice(0, -1);
  return word;
}

/** The words of a text that carry meaning: as written but in lower case, and as compared. */
export function termsOf(text: string): { readonly word: string; readonly term: string }[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words
    .filter((word) => word.length > 1 && !stopWords.has(word) && !/^\p{N}+$/u.test(word))
    .map((word) => ({ word, term: stem(word) }));
}

/** TF-IDF vectors of texts, which are each other's corpus. */
export function vectorsOf(texts: readonly string[]): Vector[] {
  const counts = texts.map((text) => {
    const count = new Map<string, number>();
    for (const { term } of termsOf(text)) count.set(term, (count.get(term) ?? 0) + 1);
    return count;
  });
  const textsWith = new Map<string, number>();
  for (const count of counts) {
    for (const term of count.keys()) textsWith.set(term, (textsWith.get(term) ?? 0) + 1);
  }
  return counts.map((count) => {
    const weights = [...count].map(([term, times]): [string, number] => [
      term,
      times * Math.log(1 + texts.length / (textsWith.get(term) ?? 1)),
    ]);
    const length = Math.hypot(...weights.map(([, weight]) => weight)) || 1;
    return new Map(weights.map(([term, weight]) => [term, weight / length]));
  });
}

/** The cosine of two vectors: 0 for nothing in common, 1 for the same words. */
export function cosine(a: Vector, b: Vector): number {
  const [short, long] = a.size <= b.size ? [a, b] : [b, a];
  let sum = 0;
  for (const [term, weight] of short) sum += weight * (long.get(term) ?? 0);
  return sum;
}

/** For each sentence, those that share words with it and how much. */
function edgesOf(vectors: readonly Vector[]): Map<number, number>[] {
  const postings = new Map<string, { sentence: number; weight: number }[]>();
  const edges = vectors.map(() => new Map<number, number>());
  for (const [i, vector] of vectors.entries()) {
    for (const [term, weight] of vector) {
      const earlier = postings.get(term) ?? [];
      for (const other of earlier) {
        const similarity = weight * other.weight;
        const [from, to] = [edges[i], edges[other.sentence]];
        from?.set(other.sentence, (from.get(other.sentence) ?? 0) + similarity);
        to?.set(i, (to.get(i) ?? 0) + similarity);
      }
      earlier.push({ sentence: i, weight });
      postings.set(term, earlier);
    }
  }
  return edges.map((row) => new Map([...row].filter(([, weight]) => weight >= similarityMin)));
}

/** How central each text is; the most central has 1. */
export function centrality(vectors: readonly Vector[]): number[] {
  const n = vectors.length;
  const edges = edgesOf(vectors);
  const weightOut = edges.map((row) => row.values().reduce((sum, weight) => sum + weight, 0));
  let scores = new Array<number>(n).fill(1 / n);
  for (let round = 0; round < roundsMax; round++) {
    // A sentence without neighbours hands its score to all.
    const adrift = scores.reduce((sum, score, i) => sum + (weightOut[i] === 0 ? score : 0), 0);
    const next = new Array<number>(n).fill((1 - damping + damping * adrift) / n);
    for (const [i, row] of edges.entries()) {
      const share = (damping * (scores[i] ?? 0)) / (weightOut[i] || 1);
      for (const [j, weight] of row) next[j] = (next[j] ?? 0) + share * weight;
    }
    const moved = next.reduce((sum, score, i) => sum + Math.abs(score - (scores[i] ?? 0)), 0);
    scores = next;
    if (moved < tolerance) break;
  }
  const best = Math.max(...scores);
  return scores.map((score) => score / best);
}

/** Yields the places of the best sentences, the best first, each unlike the ones before. */
export function* chooseSentences(
  texts: readonly string[],
  count: number,
): Generator<{ readonly index: number; readonly score: number }> {
  const vectors = vectorsOf(texts);
  const scores = centrality(vectors);
  /** How like each sentence is to the chosen ones. */
  const likeness = new Array<number>(texts.length).fill(0);
  const open = new Set(texts.keys());
  for (let chosen = 0; chosen < count && open.size > 0; chosen++) {
    let best = -1;
    let bestWorth = Number.NEGATIVE_INFINITY;
    for (const i of open) {
      const worth = relevance * (scores[i] ?? 0) - (1 - relevance) * (likeness[i] ?? 0);
      if (worth > bestWorth) [best, bestWorth] = [i, worth];
    }
    open.delete(best);
    const vector = vectors[best];
    for (const i of open) {
      const other = vectors[i];
      if (vector === undefined || other === undefined) continue;
      likeness[i] = Math.max(likeness[i] ?? 0, cosine(vector, other));
    }
    yield { index: best, score: Math.round((scores[best] ?? 0) * 10_000) / 10_000 };
  }
}

/** A text's most used terms, each in the form it is mostly written in, with its share of all. */
export function countTerms(texts: readonly string[], most: number): Term[] {
  const forms = new Map<string, Map<string, number>>();
  let all = 0;
  for (const { word, term } of texts.flatMap(termsOf)) {
    const form = forms.get(term) ?? new Map<string, number>();
    form.set(word, (form.get(word) ?? 0) + 1);
    forms.set(term, form);
    all += 1;
  }
  const terms = [...forms].map(([term, form]): Term => {
    const words = [...form].sort(([a, m], [b, n]) => n - m || compare(a, b));
    const times = words.reduce((sum, [, n]) => sum + n, 0);
    return { term, word: words[0]?.[0] ?? term, share: times / all };
  });
  return terms.sort((a, b) => b.share - a.share || compare(a.term, b.term)).slice(0, most);
}

/** A term of a text. */
export interface Term {
  readonly term: string;
  readonly word: string;
  /** Part of the text's terms that it makes up, 0 to 1. */
  readonly share: number;
}

/** Order by code units, the same on every machine. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
