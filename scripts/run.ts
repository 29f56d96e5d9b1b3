/** Runs one tool of the workspace, its output shown as it comes, and answers its exit code. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";

/** The workspace's root folder. */
export const root = join(import.meta.dirname, "..");

/** Where Python keeps what it has compiled, also where the environment forbids that beside the sources. */
export const pythonCache = {
  PYTHONDONTWRITEBYTECODE: "",
  PYTHONPYCACHEPREFIX: join(root, "node_modules", ".cache", "python"),
};

/**
 * Starts `command` (looked up in the workspace's `node_modules/.bin` first) in the root folder.
 *
 * @returns its exit code; 1 where a signal ended it.
 * @throws where it could not be started at all.
 */
export async function run(command: string, args: readonly string[], cwd = root): Promise<number> {
  const path = `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH ?? ""}`;
  const child = spawn(command, args, {
    cwd,
    stdio: "inherit",
    env: { ...process.env, ...pythonCache, PATH: path },
    shell: process.platform === "win32",
  });
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}
