/** Raises the versions by the changesets, and writes them where the SDKs say their own. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { root, run } from "./run.ts";

/** The file that says an SDK's version, and the package whose version it is. */
export const VERSION_FILES = [
  ["worker-sdk/typescript/src/version.ts", "worker-sdk/typescript"],
  ["worker-sdk/python/src/pawl/_lib/version.py", "worker-sdk/python"],
  ["worker-sdk/go/version.go", "worker-sdk/go"],
] as const;

const LITERAL = /"\d+\.\d+\.\d+(?:-[\w.]+)?"/;

/** The version that a package's manifest says. */
export async function versionOf(folder: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(root, folder, "package.json"), "utf8"));
  const isVersioned = typeof manifest === "object" && manifest !== null && "version" in manifest;
  if (!isVersioned) throw new Error(`${folder}/package.json has no version.`);
  return String(manifest.version);
}

/** The version that an SDK says of itself. */
export async function literalIn(file: string): Promise<string> {
  const [literal = '""'] = LITERAL.exec(await readFile(join(root, file), "utf8")) ?? [];
  return literal.slice(1, -1);
}

if (import.meta.main) {
  process.exitCode = await run("changeset", ["version"]);
  for (const [file, folder] of VERSION_FILES) {
    const text = await readFile(join(root, file), "utf8");
    await writeFile(join(root, file), text.replace(LITERAL, `"${await versionOf(folder)}"`));
  }
}
