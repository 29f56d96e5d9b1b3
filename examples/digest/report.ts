/** Writes a digest down as Markdown. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { FileDigest } from "./merge.ts";

/** What the report shows. */
export interface Report {
  readonly keywords: readonly string[];
  readonly highlights: readonly { readonly path: string; readonly text: string }[];
  readonly files: readonly FileDigest[];
}

/** The report as Markdown. Same digest, same text. */
export function renderReport({ keywords, highlights, files }: Report): string {
  const sentences = files.reduce((sum, file) => sum + file.sentences, 0);
  const lines = [
    "# Digest",
    "",
    `${count(files.length, "file")}, ${count(sentences, "sentence")} read.`,
    "",
    `**Keywords:** ${keywords.map(escapeMarks).join(", ") || "none"}`,
    "",
    "## In short",
    "",
    ...highlights.map(({ path, text }) => `- ${escapeMarks(text)} (${escapeMarks(path)})`),
  ];
  for (const { path, title, chosen, sentences: read } of files) {
    const heading = title === "" ? path : `${title} (${path})`;
    lines.push("", `## ${escapeMarks(heading)}`, "");
    if (chosen.length === 0) {
      lines.push(read === 0 ? "No prose." : "Nothing that the other files do not say.");
    }
    for (const { text, section } of chosen) {
      const where = section === "" || section === title ? "" : `*${escapeMarks(section)}:* `;
      lines.push(`- ${where}${escapeMarks(text)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** Puts a text into a file; a reader sees the old or the new one, whole. */
export async function writeReport(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.tmp`;
  await writeFile(draft, text);
  await rename(draft, path);
}

function count(n: number, noun: string): string {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}

/** Keeps characters of a text from being marks. */
function escapeMarks(text: string): string {
  return text.replaceAll(/[\\`*_[\]<>#|]/g, "\\$&");
}
