/**
 * Goal: every command describes itself completely, in help that is easy to read, and docs/cli.md and
 * shell completion say the same.
 * Method: render the help of all commands at several widths, and check texts and tables by rules.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cliPage, renderCliPage } from "../../scripts/cli-reference.ts";
import { type Command, describeOption, usageOf } from "../../server/src/cli/catalog/command.ts";
import { COMMANDS, commonOptions } from "../../server/src/cli/catalog/index.ts";
import { completionScript } from "../../server/src/cli/render/completion.ts";
import { commandHelp, overview, paragraphs } from "../../server/src/cli/render/help.ts";
import { withoutPawl } from "../harness/server.ts";
import { pawl } from "./cli.ts";

const documentation = readFileSync(cliPage, "utf8");
const sources = join(import.meta.dirname, "../../server/src/cli");

function optionsOf(command: Command) {
  return Object.entries({ ...command.options, ...commonOptions(command) });
}

test.each([45, 60, 80, 100])("no line of help is longer than %d characters", (width) => {
  const pages = [overview(width), ...COMMANDS.map((command) => commandHelp(command, width))];
  for (const line of pages.join("\n").split("\n")) {
    // What cannot be broken has a line of its own.
    if (line.trim().includes(" ")) expect(line.length, line).toBeLessThanOrEqual(width);
    expect(line).toBe(line.trimEnd());
  }
});

test.each(COMMANDS.map((command) => [command.name, command] as const))(
  "the help of %s has every option and argument, and reads well",
  (name, command) => {
    const help = commandHelp(command, 100);
    const flat = help.replaceAll(/\s+/g, " ");
    expect(help).toMatch(/^Usage: pawl /);
    expect(command.examples.length).toBeGreaterThan(0);
    for (const example of command.examples) expect(example).toMatch(/^pawl /);
    for (const { name: word, help: text } of command.positionals) {
      expect(word).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      expect(flat).toContain(`${word} ${text}`);
    }
    for (const [option, given] of optionsOf(command)) {
      expect(flat).toContain(`--${option}`);
      expect(flat).toContain(describeOption(given));
    }
    expect(command.summary, name).toMatch(/^[A-Z].*[^.]$/);
    const texts = [
      ...paragraphs(command.about),
      ...command.positionals.map((positional) => positional.help),
      ...optionsOf(command).map(([, option]) => describeOption(option)),
    ];
    for (const text of texts) {
      expect(text).toMatch(/^[A-Z].*\.$/);
      expect(text, "two blanks").not.toMatch(/\s\s/);
      const prose = text.replaceAll(/\S+[./:]\w\S*|\{.*\}/g, "X");
      expect(prose, "a blank is missing").not.toMatch(/[a-z][.,;:!?)][A-Za-z]|[a-z]--|[a-z]\(/);
      expect(prose, "a blank too many").not.toMatch(/ [.,;:!?)](?!\w)|\( /);
    }
  },
);

/** What stands for a value, and so says its unit. */
const UNITS = new Set(
  "DURATION N N/DURATION HOST HOST:PORT URL DIR FILE JSON KEY=VALUE TEXT NAME VERSION KEY ORIGIN"
    .split(" ")
    .concat("SCOPES LEVEL STATUS KIND STEP CURSOR ID RUN_ID WAIT_ID".split(" ")),
);
/** Of these, people want to know what applies without them. */
const HAS_DEFAULT = /^(DURATION|N|N\/DURATION|HOST:PORT|DIR|LEVEL|KIND)$/;

test("each value says its unit and its default", () => {
  for (const command of COMMANDS) {
    for (const [name, option] of optionsOf(command)) {
      const where = `${command.name} --${name}`;
      expect(name, where).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(option.help, `${where}: a default belongs in its own field`).not.toMatch(/default/i);
      if (option.type === "boolean") continue;
      expect(UNITS, where).toContain(option.value);
      if (HAS_DEFAULT.test(option.value) && !/Required/.test(option.help))
        expect(option.default, where).not.toBe("");
      if (/(timeout|delay|grace|-for|-max)$/.test(name)) expect(option.value).toBe("DURATION");
    }
    for (const { optional, help, repeated } of command.positionals)
      if (optional === true && repeated !== true) expect(help).toMatch(/Default: .*\./);
  }
});

/** `list --status failed` and `migrate --status`; `serve --data DIR` and `signal --data JSON`. */
const HOMONYMS = new Set(["status", "data"]);

test("a letter and an option's name mean one thing each", () => {
  const letters = new Map<string, string>();
  const values = new Map<string, string>();
  for (const command of COMMANDS) {
    for (const [name, option] of optionsOf(command)) {
      if (option.short !== undefined) {
        expect(letters.get(option.short) ?? name).toBe(name);
        letters.set(option.short, name);
      }
      if (HOMONYMS.has(name)) continue;
      const value = option.type === "string" ? option.value : "";
      expect(values.get(name) ?? value, `${command.name} --${name}`).toBe(value);
      values.set(name, value);
    }
  }
});

test("each command has a name of its own and code of its own", async () => {
  expect(new Set(COMMANDS.map(({ name }) => name)).size).toBe(COMMANDS.length);
  const runs = await Promise.all(COMMANDS.map(async ({ load }) => (await load()).run));
  expect(new Set(runs).size).toBe(COMMANDS.length);
  expect(readdirSync(join(sources, "commands"))).toHaveLength(COMMANDS.length);
});

test("the code asks for no option that no command describes", () => {
  const known = new Set(COMMANDS.flatMap((command) => optionsOf(command).map(([name]) => name)));
  const files = readdirSync(sources, { recursive: true, encoding: "utf8" });
  for (const file of files.filter((name) => name.endsWith(".ts") && !name.includes(".test."))) {
    const text = readFileSync(join(sources, file), "utf8");
    const asked = text.matchAll(/\bargs\.(?:flag|text|list|integer|duration|pairs)\("([^"]+)"/g);
    for (const [, name = ""] of asked) expect(known, file).toContain(name);
  }
});

test("docs/cli.md is what is generated, and has every command and variable", async () => {
  expect(documentation).toBe(await renderCliPage());
  for (const command of COMMANDS) expect(documentation).toContain(`\`pawl ${usageOf(command)}\``);
  const variables = COMMANDS.flatMap(optionsOf).flatMap(([, option]) =>
    option.type === "string" && option.env !== undefined ? [option.env] : [],
  );
  for (const variable of variables) expect(documentation).toContain(`| \`${variable}\` |`);
});

test("help and completion load neither the server nor a client", async () => {
  const hook = `
    import { registerHooks } from "node:module";
    registerHooks({ load(url, context, next) { console.error(url); return next(url, context); } });`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` };
  for (const args of [["--version"], ["--help"], ["serve", "--help"], ["completion", "bash"]]) {
    const { code, err } = await pawl(args, { env });
    expect(code).toBe(0);
    expect(err).toContain("/cli/catalog/index.ts");
    expect(err, args.join(" ")).not.toMatch(/node_modules|\/(engine|store|rpc|http|hub|app\.ts)/);
  }
});

/** What bash completes the last word with. */
function complete(...words: string[]): string[] {
  const script = `${completionScript("bash")}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pawl
if [ \${#COMPREPLY[@]} -gt 0 ]; then printf '%s\\n' "\${COMPREPLY[@]}"; fi`;
  // Readline is what \`compopt\` speaks to; there is none here.
  const quiet = `compopt() { :; }; ${script}`;
  const { stdout, stderr } = spawnSync("bash", ["-c", quiet, "bash", "pawl", ...words], {
    cwd: join(import.meta.dirname, "../.."),
    encoding: "utf8",
    env: withoutPawl(process.env),
  });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((word) => word !== "");
}

test("bash completes commands, options and values", () => {
  expect(complete("in")).toEqual(["init", "inspect"]);
  expect(complete("help", "re")).toEqual(["replay", "resume", "retry", "reject"]);
  expect(complete("cancel", "x", "--")).toEqual([
    "--reason",
    "--grace",
    "--force",
    "--server",
    "--json",
    "--help",
  ]);
  expect(complete("--server", "http://x", "logs", "x", "-l", "")).toContain("warn");
  expect(complete("list", "--status", "=", "fa")).toEqual(["failed"]);
  expect(complete("cancel", "x", "--grace", "")).toEqual([]);
  expect(complete("replay", "package.j")).toEqual(["package.json"]);
  expect(complete("completion", "")).toEqual(["bash", "zsh", "fish"]);
});

test.each(["bash", "zsh", "fish"])("%s takes its script", (shell) => {
  const script = completionScript(shell);
  for (const command of COMMANDS) expect(script).toContain(command.name);
  const checked = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" });
  if (checked.error !== undefined) return;
  expect([checked.status, checked.stderr]).toEqual([0, ""]);
});
