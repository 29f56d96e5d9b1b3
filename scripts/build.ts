/**
 * Builds what `pnpm artifacts` packs: JavaScript and declarations into `dist` of the contract, the server and
 * the TypeScript SDK. (`@pawl/proto` publishes its committed generated code as it is.)
 */
import { cp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { root, run } from "./run.ts";

const packages = ["proto", "server", "worker-sdk/typescript"];

for (const name of packages) {
  const folder = join(root, name);
  await rm(join(folder, "dist"), { recursive: true, force: true });
  const code = await run("tsc", ["-p", join(folder, "tsconfig.build.json")]);
  if (code !== 0) {
    console.error(`${name} does not build; the compiler's messages are above.`);
    process.exitCode = 1;
    continue;
  }
  const copied = await copyAssets(join(folder, "src"), join(folder, "dist"));
  console.log(`${name}: built${copied > 0 ? `, ${copied} other files copied` : ""}.`);
}

/** Copies what is read at run time and is not TypeScript, migrations for one. */
async function copyAssets(from: string, to: string): Promise<number> {
  const entries = await readdir(from, { recursive: true, withFileTypes: true });
  const assets = entries.filter(
    (entry) => entry.isFile() && !entry.name.endsWith(".ts") && !entry.name.endsWith(".snap"),
  );
  for (const asset of assets) {
    const path = join(asset.parentPath, asset.name);
    await cp(path, join(to, path.slice(from.length)));
  }
  return assets.length;
}
