/**
 * The public surface of each package, as listings under test/api that reviews show the changes of:
 * of the built declarations (by API Extractor), of Python's package (by griffe) and of Go's (by go doc).
 * `--check` writes nothing and fails where a listing differs. Needs `pnpm build` before.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";
import { root } from "./run.ts";

const folder = join(root, "test", "api");
const python = join(root, "worker-sdk", "python", ".venv", "bin", "python");

interface Package {
  readonly name: string;
  /** Undefined where its toolchain is not here. */
  list(): Promise<string | undefined>;
}

const packages: readonly Package[] = [
  { name: "proto", list: () => declarations("proto", "dist/plain.d.ts") },
  { name: "server", list: () => declarations("server", "dist/index.d.ts") },
  { name: "worker", list: () => declarations("worker-sdk/typescript", "dist/index.d.ts") },
  { name: "python", list: async () => (existsSync(python) ? listPython() : undefined) },
  { name: "go", list: async () => listGo() },
];

/** What the declarations of an entry point export, with all that these refer to. */
async function declarations(name: string, entry: string): Promise<string> {
  const report = await mkdtemp(join(tmpdir(), "pawl-api-"));
  try {
    const none = { logLevel: ExtractorLogLevel.None };
    const compilerOptions = {
      target: "es2024",
      module: "nodenext",
      moduleResolution: "nodenext",
      skipLibCheck: true,
      types: ["node"],
    };
    const projectFolder = join(root, name);
    const config = ExtractorConfig.prepare({
      configObjectFullPath: undefined,
      packageJsonFullPath: join(projectFolder, "package.json"),
      configObject: {
        projectFolder,
        newlineKind: "lf",
        mainEntryPointFilePath: join(projectFolder, entry),
        compiler: { overrideTsconfig: { compilerOptions, include: [entry] } },
        apiReport: {
          enabled: true,
          reportFileName: "report",
          reportFolder: report,
          reportTempFolder: report,
        },
        messages: {
          extractorMessageReporting: { default: none },
          tsdocMessageReporting: { default: none },
        },
      },
    });
    const { succeeded } = Extractor.invoke(config, {
      localBuild: true,
      messageCallback: (message) => {
        message.handled = message.logLevel === ExtractorLogLevel.Info;
      },
    });
    if (!succeeded) throw new Error(`API Extractor failed on ${name}; its messages are above.`);
    return codeOf(await readFile(join(report, "report.api.md"), "utf8"));
  } finally {
    await rm(report, { recursive: true, force: true });
  }
}

/** The code of a report without the remarks of the tool. */
function codeOf(report: string): string {
  const code = /```ts\n([\s\S]*?)```/.exec(report)?.[1] ?? "";
  const lines = code.split("\n").filter((line) => !line.trimStart().startsWith("//"));
  return lines
    .join("\n")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trim();
}

function listPython(): string {
  return output(python, ["scripts/api-python.py"], root);
}

/** The declarations of the Go package without their documentation. */
function listGo(): string | undefined {
  if (spawnSync("go", ["version"], { stdio: "ignore" }).status !== 0) return undefined;
  const text = output("go", ["doc", "-all", "."], join(root, "worker-sdk", "go"));
  const begin = text.search(/^(CONSTANTS|VARIABLES|FUNCTIONS|TYPES)$/m);
  // Documentation is indented by blanks, members by a tab; comments among members explain them.
  const lines = text
    .slice(begin)
    .split("\n")
    .filter((line) => !line.startsWith(" ") && !line.trimStart().startsWith("//"));
  return lines
    .join("\n")
    .replaceAll(/\n{2,}/g, "\n")
    .trim();
}

function output(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${stderr}`);
  return stdout.trim();
}

const checking = process.argv.includes("--check");
await mkdir(folder, { recursive: true });
for (const { name, list } of packages) {
  const listed = await list();
  if (listed === undefined) {
    console.log(`${name}: left out, since its toolchain is not installed here.`);
    continue;
  }
  const file = join(folder, `${name}.txt`);
  const text = `${listed}\n`;
  const kept = await readFile(file, "utf8").catch(() => "");
  if (kept === text) console.log(`${name}: current.`);
  else if (checking) {
    console.error(
      `test/api/${name}.txt differs: run \`pnpm build\` and \`pnpm api\`, and review it.`,
    );
    process.exitCode = 1;
  } else {
    await writeFile(file, text);
    console.log(`${name}: written.`);
  }
}
