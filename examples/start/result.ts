/** Shows how the demonstration went: the picture, what was checked, the result, what to try next. */
import { relative, sep } from "node:path";
import type { Demonstration } from "./demonstration.ts";
import { root } from "./options.ts";
import type { Running, Server } from "./processes.ts";
import { count, paint, print, printTitle, width, wrap } from "./screen.ts";
import { drawTimeline, legend } from "./timeline.ts";

/** @returns whether everything held. */
export function showResult(shown: Demonstration, workers: readonly Running[]): boolean {
  const { history, output, findings, killed, killedMs } = shown;
  const survivor = workers.find((worker) => worker !== killed)?.name ?? "";
  printTitle("What ran where and when");
  for (const line of drawTimeline({ history, killedMs, killedWorker: killed.name })) print(line);
  print();
  print(legend(killed.name, survivor));

  printTitle("Checked, by a line that each step writes to a file whenever it really runs");
  for (const { ok, text } of findings) {
    const [first = "", ...more] = wrap(text, width - 6);
    print(`  ${ok ? paint("green", "✓") : paint("red", "✗")} ${first}`);
    for (const line of more) print(`    ${line}`);
  }

  printTitle("The digest");
  const { files, sentences, chosen, keywords, highlights, report } = output;
  print(
    `  ${count(files, "text")}, ${count(sentences, "sentence")} read, ${chosen} chosen. Above all:`,
  );
  for (const { path, text } of highlights) {
    print();
    for (const line of wrap(`“${text}”`, width - 6)) print(`    ${line}`);
    print(paint("dim", `    ${path}`));
  }
  print();
  print(`  Keywords: ${keywords.join(", ")}`);
  print(`  Report:   ${shorten(report)}`);
  return findings.every(({ ok }) => ok);
}

export interface NextOptions {
  /** The folder that was digested. */
  readonly input: string;
  readonly runId: string;
  readonly server: Server;
  readonly workers: readonly Running[];
}

/** Commands to continue with, which work as they stand. */
export function showNext({ input, runId, server, workers }: NextOptions): void {
  const pawl = "npx -y pnpm@12 pawl";
  const isDefault = server.httpUrl === "http://127.0.0.1:8000";
  const call = `curl -s ${server.httpUrl}/pawl.v1.RunService/GetRun`;
  const settings = JSON.stringify({ dir: shorten(input), outputDir: ".pawl/digest" });
  const examples: [what: string, ...commands: string[]][] = [
    ["See all runs, and this one in full", `${pawl} list`, `${pawl} inspect ${runId}`],
    ["Run another one, at full speed", `${pawl} run digest --wait --input '${settings}'`],
    [
      "The same service with nothing but curl",
      `${call} -H 'content-type: application/json' \\`,
      `  -d '{"runId":"${runId}"}'`,
    ],
    ["Kill a worker yourself; it is started again", `kill -9 ${workers[0]?.pid ?? ""}`],
    ["Your own texts, after Ctrl-C here", "npx -y pnpm@12 start -- --input ~/notes"],
  ];
  if (!isDefault) {
    examples.unshift([
      "So that the next commands find the server",
      `export PAWL_HTTP_URL=${server.httpUrl}`,
    ]);
  }
  printTitle("Next, in another terminal in this folder (Ctrl-C here ends all of it)");
  for (const [what, ...commands] of examples) {
    print(paint("dim", `  ${what}`));
    for (const command of commands) print(`    ${command}`);
  }
  print();
}

/** A path as people would write it from the clone's folder. */
export function shorten(path: string): string {
  const short = relative(root, path) || ".";
  return short === ".." || short.startsWith(`..${sep}`) ? path : short;
}
