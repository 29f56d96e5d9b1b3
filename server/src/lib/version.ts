import { readFileSync } from "node:fs";

/** This server's release, from its package.json. */
export const VERSION = readVersion();

function readVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  const manifest: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (typeof manifest === "object" && manifest !== null && "version" in manifest) {
    return String(manifest.version);
  }
  throw new Error(`${file.pathname} names no version.`);
}
