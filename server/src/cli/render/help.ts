/** The help of `pawl` and of each of its commands, wrapped to a width. */

import { DURATION_EXAMPLES } from "../../lib/duration.ts";
import { type Command, describeOption, type Options, usageOf } from "../catalog/command.ts";
import { COMMANDS, commonOptions, groupsOf } from "../catalog/index.ts";
import { wrap } from "./text.ts";

/** The list of all commands. */
export function overview(width: number): string {
  const column = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = [
    "Usage: pawl COMMAND [options]",
    "",
    ...wrap("Pawl runs workflows durably: each step's result is recorded once.", width),
  ];
  for (const [group, commands] of groupsOf(COMMANDS)) {
    const rows = commands.map(({ name, summary }) => [name, summary] as const);
    lines.push("", `${group}:`, ...definitions(rows, width, column));
  }
  const end = "Run `pawl COMMAND --help` for details. All commands accept `--json`.";
  return [...lines, "", ...wrap(end, width)].join("\n");
}

/** The help of one command. */
export function commandHelp(command: Command, width: number): string {
  const { about, positionals, options, examples } = command;
  const own = optionRows(options);
  const common = optionRows(commonOptions(command));
  const named = positionals.map(({ name, help, choices }) => {
    const values = choices === undefined ? "" : ` One of: ${choices.join(", ")}.`;
    return [name, `${help}${values}`] as const;
  });
  const column = columnOf([...named, ...own, ...common], width);
  const lines = [...wrap(`Usage: pawl ${usageOf(command)}`, width, "  ")];
  for (const paragraph of paragraphs(about)) lines.push("", ...wrap(paragraph, width));
  const section = (title: string, rows: readonly Row[]): void => {
    if (rows.length > 0) lines.push("", `${title}:`, ...definitions(rows, width, column));
  };
  section("Arguments", named);
  section("Options", own);
  section("Common options", common);
  if (own.some(([left]) => left.includes("DURATION")))
    lines.push("", ...wrap(`A DURATION is a number with a unit: ${DURATION_EXAMPLES}.`, width));
  lines.push("", "Examples:");
  for (const example of examples) lines.push(...wrap(`  ${example}`, width, "    "));
  return lines.join("\n");
}

export function paragraphs(text: string): string[] {
  return text.split(/\n\s*\n/).map((paragraph) => paragraph.replaceAll(/\s+/g, " ").trim());
}

type Row = readonly [left: string, help: string];

function optionRows(options: Options): Row[] {
  return Object.entries(options).map(([name, option]) => {
    const short = option.short === undefined ? "    " : `-${option.short}, `;
    const value = option.type === "string" ? ` ${option.value}` : "";
    return [`${short}--${name}${value}`, describeOption(option)];
  });
}

/** As wide as the widest left side, but at most half of the line. */
function columnOf(rows: readonly Row[], width: number): number {
  const limit = Math.floor(width / 2);
  const widths = rows.map(([left]) => left.length).filter((length) => length <= limit);
  return Math.max(0, ...widths);
}

/** Two columns; what is too wide for the left one has a line of its own. */
function definitions(rows: readonly Row[], width: number, column: number): string[] {
  const indent = " ".repeat(column + 4);
  return rows.flatMap(([left, help]) => {
    const [first = "", ...rest] = wrap(help, width - indent.length);
    const head =
      left.length > column ? [`  ${left}`, indent + first] : [`  ${left.padEnd(column)}  ${first}`];
    return [...head, ...rest.map((line) => indent + line)];
  });
}
