/**
 * Prose out of Markdown: what a person would read aloud. Code (fenced and indented), tables, front
 * matter, HTML, images, link targets and reference definitions are left out; links and inline code
 * keep their text. Headings are not prose, they name the section of what follows.
 *
 * A reader of lines, not a whole CommonMark parser: it never fails, and where it guesses wrong a
 * sentence is lost or has a stray mark.
 */

/** A sentence, and the heading that it stands under (empty before the first one). */
export interface Sentence {
  readonly text: string;
  readonly section: string;
}

/** What is read of one file. */
export interface Prose {
  /** The first heading; empty where there is none. */
  readonly title: string;
  readonly sentences: Sentence[];
}

/** Shorter sentences say too little alone, longer ones are rarely sentences. In words. */
const wordsMin = 9;
const wordsMax = 45;
/** The part of a sentence's words that are plain words, not names of files, fields or formulas. */
const plainWordsMin = 0.8;

interface Paragraph {
  readonly section: string;
  readonly lines: string[];
}

/** The prose of a Markdown text; plain text is read as Markdown without marks. */
export function readProse(markdown: string): Prose {
  const reader = new LineReader();
  for (const line of stripBlocks(markdown).split("\n")) reader.read(line);
  const pieces = reader.paragraphs.flatMap(({ section, lines }) =>
    splitSentences(stripInline(lines.join(" "))).map((text) => ({ text, section })),
  );
  const sized = pieces.filter(({ text }) => isReadable(text));
  // Fragments, such as most list items, only count in a text that has nothing else.
  const whole = sized.filter(({ text }) => /[.!?…][)"'”’]*$/.test(text));
  return { title: reader.title, sentences: whole.length > 0 ? whole : sized };
}

function isReadable(text: string): boolean {
  const words = text.split(" ");
  if (words.length < wordsMin || words.length > wordsMax) return false;
  const plain = words.filter((word) => /^[("'“‘]*[\p{L}\p{N}’'-]+[)"'”’.,;:!?…]*$/u.test(word));
  return plain.length / words.length >= plainWordsMin;
}

/** Takes out what spans lines without regard to paragraphs. */
function stripBlocks(markdown: string): string {
  return markdown
    .replaceAll(/\r\n?/g, "\n")
    .replace(/^\uFEFF/, "")
    .replace(/^---\n[\s\S]*?\n---(?:\n|$)/, "")
    .replaceAll(/<!--[\s\S]*?-->/g, "");
}

/** Sorts lines into paragraphs. */
class LineReader {
  readonly paragraphs: Paragraph[] = [];
  title = "";
  #section = "";
  #open: Paragraph | undefined;
  /** The marks that opened a code block, while within one. */
  #fence: string | undefined;
  #inList = false;

  read(line: string): void {
    if (this.#readFence(line)) return;
    const isIndented = /^(?: {4}|\t)/.test(line);
    const text = line.replace(/^[\s>]+/, "").trimEnd();
    if (text === "") {
      this.#open = undefined;
      return;
    }
    if (isIndented && this.#open === undefined && !this.#inList) return;
    if (!/^\s/.test(line)) this.#inList = false;
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(text);
    if (heading !== null) {
      this.#startSection(heading[1] ?? "");
    } else if (/^(?:=+|-{2,})$/.test(text) && this.#open?.lines.length === 1) {
      // The line above was a heading, underlined by this one.
      const above = this.paragraphs.pop()?.lines[0] ?? "";
      this.#startSection(above);
    } else if (isAside(text)) {
      this.#open = undefined;
    } else {
      this.#readText(text);
    }
  }

  /** Whether the line belongs to a fenced code block. */
  #readFence(line: string): boolean {
    const marks = /^[\s>]*(?:(?:[-*+]|\d+[.)])\s+)?(`{3,}|~{3,})/.exec(line)?.[1];
    if (this.#fence !== undefined) {
      if (marks?.startsWith(this.#fence) === true && line.trim().endsWith(marks)) {
        this.#fence = undefined;
      }
      return true;
    }
    if (marks === undefined) return false;
    this.#fence = marks;
    this.#open = undefined;
    return true;
  }

  #readText(text: string): void {
    const item = /^(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?(.*)$/.exec(text);
    if (item !== null) {
      this.#inList = true;
      this.#open = undefined;
    }
    if (this.#open === undefined) {
      this.#open = { section: this.#section, lines: [] };
      this.paragraphs.push(this.#open);
    }
    this.#open.lines.push(item?.[1] ?? text);
  }

  #startSection(heading: string): void {
    this.#open = undefined;
    this.#inList = false;
    this.#section = stripInline(heading);
    if (this.title === "") this.title = this.#section;
  }
}

/** Table rows, rules, definitions of links and footnotes, and lines of nothing but HTML. */
function isAside(text: string): boolean {
  return (
    /^\|/.test(text) ||
    /^:?-{3,}:?\s*(?:\|\s*:?-{3,}:?\s*)*$/.test(text) ||
    /^(?:[-*_]\s*){3,}$/.test(text) ||
    /^\[[^\]]+\]:/.test(text) ||
    /^<\/?[a-z][^>]*>$/i.test(text)
  );
}

const entities: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
};

/** The text as it is shown: no marks, no link targets. Within inline code nothing is a mark. */
function stripInline(text: string): string {
  const codes: string[] = [];
  const marked = text.replaceAll(/(`+)(.+?)\1/g, (_whole, _marks, code: string) => {
    codes.push(code);
    return "\u0000";
  });
  return stripMarks(marked)
    .replaceAll("\u0000", () => codes.shift() ?? "")
    .replaceAll(/\s+/g, " ")
    .trim();
}

function stripMarks(text: string): string {
  return text
    .replaceAll(/!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])/g, "")
    .replaceAll(/\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])/g, "$1")
    .replaceAll(/\[\^[^\]]+\]/g, "")
    .replaceAll(/<(?:https?:|mailto:)[^>]*>/g, "")
    .replaceAll(/<\/?[a-z][^<>]*>/gi, "")
    .replaceAll(/(\*{1,3}|~~)(?=\S)(.+?)(?<=\S)\1/g, "$2")
    .replaceAll(/(?<![\p{L}\p{N}])(_{1,3})(?=\S)(.+?)(?<=\S)\1(?![\p{L}\p{N}])/gu, "$2")
    .replaceAll(/\\([!-/:-@[-`{-~])/g, "$1")
    .replaceAll(/&([a-z]+);/g, (whole, name: string) => entities[name] ?? whole);
}

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });
/** Ends with a full stop that ends no sentence. */
const abbreviation =
  /(?:^|[\s(])(?:e\.g|i\.e|cf|vs|etc|al|resp|approx|Fig|No|Dr|Mr|Mrs|Ms|Prof)\.$/;

function splitSentences(text: string): string[] {
  const sentences: string[] = [];
  let pending = "";
  for (const { segment } of segmenter.segment(text)) {
    pending += segment;
    if (abbreviation.test(pending.trimEnd())) continue;
    sentences.push(pending.trim());
    pending = "";
  }
  if (pending.trim() !== "") sentences.push(pending.trim());
  return sentences;
}
