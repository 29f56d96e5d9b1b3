/**
 * Proves that the simulation finds what it is for: takes a fix out again, one at a time, and expects
 * it to fail. Each file in `mutants/` is a patch against the sources; it is applied to a copy of them.
 */
import { spawn, spawnSync } from "node:child_process";
import { cp, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const root = join(import.meta.dirname, "..", "..");
const patches = join(import.meta.dirname, "mutants");
/** What the simulation imports; the packages find one another by links that are relative. */
const parts = ["package.json", "proto", "server", "worker-sdk/typescript", "test/simulation"];

/** The mutants that do not apply to the sources any more, with the reason. */
export async function staleMutants(): Promise<string[]> {
  return (await readdir(patches)).flatMap((patch) => {
    const check = ["apply", "--check", "--unidiff-zero", join(patches, patch)];
    const { status, stderr } = spawnSync("git", check, { cwd: root, encoding: "utf8" });
    return status === 0 ? [] : [`${patch}: ${stderr.trim()}`];
  });
}

/** @returns whether the simulation found every mutant within the time */
export async function findMutants(seed: number, seconds: number): Promise<boolean> {
  let missed = 0;
  for (const patch of (await readdir(patches)).sort()) {
    const found = await findMutant(join(patches, patch), seed, seconds);
    console.log(`${patch.replace(/\.patch$/, "")}: ${found}`);
    if (!found.startsWith("found")) missed += 1;
  }
  return missed === 0;
}

async function findMutant(patch: string, seed: number, seconds: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pawl-mutant-"));
  try {
    for (const part of parts) {
      const options = { recursive: true, verbatimSymlinks: true } as const;
      await cp(join(root, part), join(folder, part), options);
    }
    await cp(join(root, "test", "package.json"), join(folder, "test", "package.json"));
    for (const link of ["node_modules", join("test", "node_modules")])
      await copyLinks(join(root, link), join(folder, link));
    const applied = spawnSync("git", ["apply", "--unidiff-zero", patch], {
      cwd: folder,
      encoding: "utf8",
    });
    if (applied.status !== 0) return `the patch does not apply: ${applied.stderr.trim()}`;
    return await simulateIn(folder, seed, seconds);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The links of a folder of packages; what they lead to outside of the copy stays where it is. */
async function copyLinks(from: string, to: string): Promise<void> {
  if (from === join(root, "node_modules")) await symlink(from, to);
  else await cp(from, to, { recursive: true, verbatimSymlinks: true });
}

async function simulateIn(folder: string, seed: number, seconds: number): Promise<string> {
  const main = join(folder, "test", "simulation", "main.ts");
  const args = [main, "--seed", String(seed), "--cpu-seconds", String(seconds)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const output = await text(child.stdout);
  const violation = /^ {2}(at .*)$/m.exec(output)?.[1];
  const totals = output.trim().split("\n").at(-1) ?? "";
  return violation === undefined ? `not found: ${totals}` : `found: ${violation}\n  ${totals}`;
}
