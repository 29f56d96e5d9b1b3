/**
 * Builds what is published into `artifacts/`, so that it can be installed anywhere. A language whose toolchain is
 * missing is left out, with a note, unless it is asked for by its name.
 *
 *   pnpm artifacts        all of it
 *   pnpm artifacts npm    the tarballs for npm
 *   pnpm artifacts python the wheel and the source distribution
 *   pnpm artifacts go     the module, in a folder that GOPROXY can name
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { root, run } from "./run.ts";
import { missingToolchain, suites } from "./suites.ts";
import { versionOf } from "./version.ts";

const PACKAGES = ["proto", "server", "worker-sdk/typescript"];

/** Each builds into a folder of its name, which is empty before. */
const KINDS: Readonly<Record<string, (into: string) => Promise<void>>> = {
  npm: packNpm,
  python: packPython,
  go: packGo,
};

/** The tarballs. pnpm writes versions where the workspace refers to itself, and the `publishConfig`. */
async function packNpm(into: string): Promise<void> {
  await must("node", ["scripts/build.ts"]);
  for (const name of PACKAGES) {
    const args = ["-y", "pnpm@12", "pack", "--silent", "--pack-destination", into];
    await must("npx", args, join(root, name));
  }
}

async function packPython(into: string): Promise<void> {
  const venv = join(root, "node_modules", ".cache", "python-build");
  await must("python3", ["-m", "venv", venv]);
  const python = join(venv, "bin", "python");
  await must(python, ["-m", "pip", "install", "--quiet", "hatchling>=1.27"]);
  await must(python, ["-m", "hatchling", "build", "-d", into], join(root, "worker-sdk", "python"));
}

async function packGo(into: string): Promise<void> {
  const tools = join(root, "worker-sdk", "go", "tools");
  const version = `v${await versionOf("worker-sdk/go")}`;
  await must("go", ["run", "./pack", "..", version, into], tools);
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
  const suite = suites.find((one) => one.name === name);
  const missing = suite === undefined ? undefined : missingToolchain(suite);
  if (missing !== undefined) {
    console.log(`${name}: LEFT OUT: ${missing}`);
    if (wanted.includes(name)) process.exitCode = 1;
    continue;
  }
  const into = join(root, "artifacts", name);
  await rm(into, { recursive: true, force: true });
  await mkdir(into, { recursive: true });
  await build(into);
  console.log(`${name}: see ${into}`);
}
