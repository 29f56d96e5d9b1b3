/** Which texts there are in a folder, and reading them. */
import { open, readdir, stat } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { compare } from "./rank.ts";

/** More files in a folder than this are refused; a smaller folder, or some of the files, will do. */
export const filesMax = 500;
/** Of a longer text the first part is read. In bytes. */
const textBytesMax = 1024 * 1024;
/** Folders without texts of one's own, besides all whose name starts with a dot. */
const skipped = new Set(["node_modules", "dist", "build", "target", "vendor", "coverage"]);
const textName = /\.(?:md|markdown|mdx|txt)$/i;

/**
 * The Markdown and plain-text files in and below a folder, as paths relative to it with `/`, in
 * order. Links are not followed. Gives up after one more than `filesMax`.
 */
export async function listTexts(folder: string): Promise<string[]> {
  const paths: string[] = [];
  const open = [resolve(folder)];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (paths.length > filesMax) break;
    for (const entry of await readdir(next, { withFileTypes: true })) {
      const path = join(next, entry.name);
      if (entry.isDirectory() && !entry.name.startsWith(".") && !skipped.has(entry.name)) {
        open.push(path);
      } else if (entry.isFile() && textName.test(entry.name)) {
        paths.push(relative(resolve(folder), path).split(sep).join("/"));
      }
    }
  }
  return paths.slice(0, filesMax + 1).sort(compare);
}

/** A text file's beginning, 1 MiB at most. */
export async function readText(path: string): Promise<string> {
  const { size } = await stat(path);
  const file = await open(path);
  try {
    const bytes = new Uint8Array(Math.min(size, textBytesMax));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    return new TextDecoder().decode(bytes.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}
