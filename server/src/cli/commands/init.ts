import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { VERSION } from "../../lib/version.ts";
import { type Command, JSON_OPTION } from "../command.ts";
import { CliError, EXIT } from "../exit.ts";

const IGNORED = ".pawl/";

export const command: Command = {
  usage: "init [DIR] [--force]",
  about:
    "Writes an example worker, what it needs beside it, and the data directory. Files that are\n" +
    "there already are left alone, and the command refuses where the worker is one of them.",
  options: {
    force: { type: "boolean", help: "Overwrite the worker file." },
    ...JSON_OPTION,
  },
  examples: ["pawl init my-project && cd my-project && npm install && npx pawl dev"],
  async run(args, terminal) {
    const named = args.positionals[0];
    const folder = resolve(named ?? ".");
    const worker = join(folder, "worker.ts");
    if (existsSync(worker) && !args.flag("force")) {
      throw new CliError(EXIT.REFUSED, `There is a worker already: ${worker}.`, {
        reason: "FILE_EXISTS",
        metadata: { file: worker },
        hint: "Overwrite it with --force, or name another folder.",
      });
    }
    await mkdir(join(folder, ".pawl"), { recursive: true });
    await writeFile(worker, WORKER);
    const written = [worker];
    const manifest = join(folder, "package.json");
    if (!existsSync(manifest)) {
      await writeFile(manifest, packageJson(basename(folder)));
      written.push(manifest);
    }
    if (await ignoreData(join(folder, ".gitignore"))) written.push(join(folder, ".gitignore"));
    if (args.flag("json")) {
      terminal.out(JSON.stringify({ folder, written }, undefined, 2));
      return EXIT.OK;
    }
    for (const file of written) terminal.out(`wrote ${file}`);
    terminal.note("\nNext:");
    if (named !== undefined) terminal.note(`  cd ${named}`);
    terminal.note("  npm install");
    terminal.note("  npx pawl dev                                       # server and worker");
    terminal.note(`  npx pawl run greet --input '{"name": "you"}' --wait   # in another terminal`);
    return EXIT.OK;
  },
};

/** @returns whether it had to be written */
async function ignoreData(file: string): Promise<boolean> {
  const text = existsSync(file) ? await readFile(file, "utf8") : "";
  if (text.split("\n").some((line) => line.trim().replace(/^\//, "") === IGNORED)) return false;
  await appendFile(file, `${text === "" || text.endsWith("\n") ? "" : "\n"}${IGNORED}\n`);
  return true;
}

function packageJson(name: string): string {
  const manifest = {
    name: name.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-") || "pawl-project",
    private: true,
    type: "module",
    scripts: { dev: "pawl dev" },
    dependencies: { "@pawl/server": `^${VERSION}`, "@pawl/worker": `^${VERSION}` },
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

const WORKER = `// A worker: it serves workflows, and runs their steps. \`pawl dev\` starts it with a server.
import { Worker, workflow } from "@pawl/worker";

// Each step's result is recorded once. After a crash, anywhere, the run goes on in another worker
// (or in this one, restarted), and steps that have ended are not executed again.
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
