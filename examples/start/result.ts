/** Shows how the demonstration went: the picture, what was checked, the result, what to try next. */
import { relative } from "node:path";
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
  readonly runId: string;
  readonly server: Server;
  readonly workers: readonly Running[];
}

/** Commands to go on with, which work as they stand. */
export function showNext({ runId, server, workers }: NextOptions): void {
  const pawl = "npx -y pnpm@12 pawl";
  const to = server.httpUrl === "http://127.0.0.1:8000" ? "" : ` --server ${server.httpUrl}`;
  const [worker] = workers;
  const json = "-H 'content-type: application/json'";
  const examples: [string, string][] = [
    ["See all runs, and this one in full", `${pawl} list${to}`],
    ["", `${pawl} inspect ${runId}${to}`],
    [
      "Run another one",
      `${pawl} run digest --wait${to} --input '{"dir":"docs","outputDir":".pawl/digest"}'`,
    ],
    [
      "The same services with nothing but curl",
      `curl -s ${server.httpUrl}/pawl.v1.RunService/GetRun ${json} \\`,
    ],
    ["", `  -d '{"runId":"${runId}"}'`],
    ["Kill a worker yourself; it is started again", `kill -9 ${worker?.pid ?? ""}`],
    ["Your own texts (after Ctrl-C)", "npx -y pnpm@12 start -- --input ~/notes"],
  ];
  printTitle(`Next, in another terminal in this folder (Ctrl-C here ends all)`);
  for (const [what, command] of examples) {
    if (what !== "") print(paint("dim", `  ${what}`));
    print(`    ${command}`);
  }
  print();
}

/** A path as people would write it from the clone's folder. */
export function shorten(path: string): string {
  const short = relative(root, path);
  return short.startsWith("..") ? path : short;
}
