/**
 * Builds what is published into `artifacts/`, so that it can be installed anywhere.
 *
 *   pnpm artifacts        all of it
 *   pnpm artifacts npm    only the tarballs for npm
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { root, run } from "./run.ts";

const PACKAGES = ["proto", "server", "worker-sdk/typescript"];

/** Each builds into a folder of its name, which is empty before. */
const KINDS: Readonly<Record<string, (into: string) => Promise<void>>> = { npm: packNpm };

/** The tarballs. pnpm writes versions where the workspace refers to itself, and the `publishConfig`. */
async function packNpm(into: string): Promise<void> {
  await must("node", ["scripts/build.ts"]);
  for (const name of PACKAGES) {
    const args = ["-y", "pnpm@12", "pack", "--silent", "--pack-destination", into];
    await must("npx", args, join(root, name));
  }
}

async function must(command: string, args: readonly string[], folder = root): Promise<void> {
  const code = await run(command, args, folder);
  if (code === 0) return;
  throw new Error(`${[command, ...args].join(" ")} failed with code ${code}; see above.`);
}

const wanted = process.argv.slice(2).filter((arg) => arg !== "--");
const unknown = wanted.filter((name) => !(name in KINDS));
if (unknown.length > 0) {
  throw new Error(
    `There are no artifacts for ${unknown.join(", ")}, only for ${Object.keys(KINDS).join(", ")}.`,
  );
}
for (const [name, build] of Object.entries(KINDS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const into = join(root, "artifacts", name);
  await rm(into, { recursive: true, force: true });
  await mkdir(into, { recursive: true });
  await build(into);
  console.log(`${name}: see ${into}`);
}
