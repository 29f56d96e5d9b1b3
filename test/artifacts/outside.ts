/** A folder outside the repository, in which a person installs what `pnpm artifacts` has built. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { type Block, readBlocks } from "../first-contact/blocks.ts";
import { Program } from "../first-contact/program.ts";

export const root = join(import.meta.dirname, "..", "..");

/** These tests install from registries, so only CI and who asks for it (PAWL_TESTS=full) run them. */
export const asked = process.env.PAWL_TESTS === "full";

/** For what installs something: a slow network and a busy machine only make it slower. */
export const installMs = 900_000;

/** What the tools that run these tests have set for themselves, and a person has not. */
const ownSettings = Object.keys(process.env).filter((name) =>
  /^(npm_|pnpm_|NODE$|NODE_(OPTIONS|PATH|ENV|COMPILE_CACHE)$|INIT_CWD$|VITEST)/i.test(name),
);

export class Outside {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<Outside> {
    return new Outside(await mkdtemp(join(tmpdir(), "pawl-outside-")));
  }

  /** Starts a shell script in the folder; `$PAWL` is the clone, as in the READMEs. */
  shell(script: string, env: Readonly<Record<string, string>> = {}): Program {
    const path = (process.env.PATH ?? "")
      .split(delimiter)
      .filter((part) => !part.includes("node_modules") && !part.includes("_npx"));
    const settings = [
      `PAWL=${root}`,
      `PATH=${[dirname(process.execPath), ...path].join(delimiter)}`,
    ];
    const unset = ownSettings.flatMap((name) => ["-u", name]);
    return new Program("env", [...unset, ...settings, "sh", "-ec", script], {
      cwd: this.folder,
      env,
    });
  }

  /** Runs a script to its end, and returns what it prints on standard output. */
  async run(script: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
    await using program = this.shell(script, env);
    const code = await program.end();
    if (code !== 0) throw new Error(`"${script}" ended with ${code}:\n${program.output}`);
    return program.stdout;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The blocks of a README, by their language and text. */
export class Readme {
  readonly #name: string;
  readonly #blocks: readonly Block[];
  readonly text: string;

  private constructor(name: string, text: string) {
    this.#name = name;
    this.text = text;
    this.#blocks = readBlocks(text);
  }

  static async read(name: string): Promise<Readme> {
    return new Readme(name, await readFile(join(root, name), "utf8"));
  }

  /** The one block of this language with this part. */
  block(language: string, part: string): string {
    const found = this.#blocks.filter(
      (block) => block.language === language && block.code.includes(part),
    );
    const [only] = found;
    if (only === undefined || found.length > 1) {
      throw new Error(`${this.#name} has ${found.length} ${language} blocks with ${part}, not 1.`);
    }
    return only.code;
  }

  /** The programs that are followed by what they print. */
  programs(language: string): readonly { name: string; code: string; output: string }[] {
    return this.#blocks.flatMap((block, i) => {
      const next = this.#blocks[i + 1];
      const name = /^\/\/ (\S+\.\w+)\n/.exec(block.code)?.[1] ?? `program${i}.py`;
      if (block.language !== language || next?.language !== "text") return [];
      return [{ name, code: block.code, output: `${next.code}\n` }];
    });
  }
}
