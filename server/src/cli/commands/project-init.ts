import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { VERSION } from "../../lib/version.ts";
import type { Run } from "../catalog/command.ts";
import { CliError, EXIT } from "../shared/exit.ts";
import { quoted } from "../shared/open-waits.ts";
import { checkStore, hasPassword, SETTINGS_FILE, settingsFile } from "../shared/settings-file.ts";

const IGNORED = ".pawl/";
/** The clone that this program runs from; undefined if it is an installed package. */
const CLONE = import.meta.filename.endsWith(".ts")
  ? resolve(import.meta.dirname, "../../../..")
  : undefined;

export const run: Run = async (args, terminal) => {
  const named = args.positionals[0];
  const folder = resolve(named ?? ".");
  const worker = join(folder, "worker.ts");
  const settings = join(folder, SETTINGS_FILE);
  const store = checkStore(args.text("store") ?? "");
  const there = [worker, settings].find((file) => existsSync(file));
  if (there !== undefined && !args.flag("force")) {
    throw new CliError(EXIT.REFUSED, `${basename(there)} already exists: ${there}.`, {
      reason: "FILE_EXISTS",
      metadata: { file: there },
      hint: "Overwrite it with --force, or choose another folder.",
    });
  }
  await mkdir(join(folder, ".pawl"), { recursive: true });
  await writeFile(worker, WORKER);
  await writeFile(settings, settingsFile(store));
  const written = [worker, settings];
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest)) {
    await writeFile(manifest, packageJson(basename(folder)));
    written.push(manifest);
  }
  const ignored = hasPassword(store) ? [IGNORED, SETTINGS_FILE] : [IGNORED];
  if (await ignore(join(folder, ".gitignore"), ignored)) written.push(join(folder, ".gitignore"));
  if (args.flag("json")) {
    terminal.out(JSON.stringify({ folder, written }, undefined, 2));
    return EXIT.OK;
  }
  for (const file of written) terminal.out(`wrote ${file}`);
  terminal.note("\nNext:");
  if (named !== undefined && folder !== process.cwd()) terminal.note(`  cd ${quoted(named)}`);
  terminal.note(CLONE === undefined ? "  npm install" : "  npx -y pnpm@12 install");
  terminal.note("  npx pawl dev                                         # server and worker");
  terminal.note(`  npx pawl run greet --input '{"name": "you"}' --wait  # in another terminal`);
  return EXIT.OK;
};

/** @returns whether it had to be written */
async function ignore(file: string, names: readonly string[]): Promise<boolean> {
  const text = existsSync(file) ? await readFile(file, "utf8") : "";
  const there = text.split("\n").map((line) => line.trim().replace(/^\//, ""));
  const missing = names.filter((name) => !there.includes(name));
  if (missing.length === 0) return false;
  const start = text === "" || text.endsWith("\n") ? "" : "\n";
  await appendFile(file, `${start}${missing.join("\n")}\n`);
  return true;
}

function packageJson(name: string): string {
  const manifest = {
    name: name.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-") || "pawl-project",
    private: true,
    type: "module",
    scripts: { dev: "pawl dev" },
    dependencies: {
      "@pawl/server": packageFrom("server"),
      "@pawl/worker": packageFrom("worker-sdk/typescript"),
    },
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/** A clone links its own packages, which need not be published. */
function packageFrom(folder: string): string {
  return CLONE === undefined ? `^${VERSION}` : `link:${join(CLONE, folder)}`;
}

const WORKER = `// A worker: it serves workflows and executes their steps. \`pawl dev\` runs it with a server.
import { Worker, workflow } from "@pawl/worker";

// Each step's result is recorded. If a process crashes, another worker (or this one, once it has
// restarted) continues from the last recorded step.
const greet = workflow("greet", async (ctx, { name }: { name: string }) => {
  const greeting = await ctx.step("compose", () => \`Hello, \${name}!\`);
  await ctx.sleep("1 s");
  const sentAt = await ctx.step("send", () => {
    console.log(greeting);
    return new Date().toISOString();
  });
  return { greeting, sentAt };
});

await new Worker({ workflows: [greet] }).run();
`;
