/**
 * `pnpm start`: shows Pawl at work. A server, two workers and a run of the workflow `digest`; the
 * worker that has the run is killed half way, and the other one continues from what is recorded.
 * What is shown is checked, too. Then server and workers stay up until Ctrl-C.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "@pawl/worker";
import { Complaint } from "./start/complaint.ts";
import { demonstrate } from "./start/demonstration.ts";
import { help, type Options, readOptions } from "./start/options.ts";
import { Processes } from "./start/processes.ts";
import { showNext, showResult } from "./start/result.ts";
import { paint, print, printTitle, width, wrap } from "./start/screen.ts";
import { keepUp, setUp, startWorker } from "./start/stage.ts";

/** As a shell reports a process that Ctrl-C ended. */
const interrupted = 130;

/** Shows everything; with `--once` answers the exit code, else continues serving. */
async function show(
  options: Options,
  processes: Processes,
  onServing: () => void,
): Promise<number> {
  printTitle("Pawl: a run that loses its worker");
  const stage = await setUp(options, processes);
  const client = new Client({ url: stage.server.grpcUrl });
  const kill = processes.kill;
  const shown = await demonstrate({ ...options, ...stage, client, kill });
  client.close();
  const held = showResult(shown, stage.workers);
  if (options.once) return held ? 0 : 1;
  const again = await startWorker(stage, processes, shown.killed.name);
  const workers = stage.workers.map((worker) => (worker === shown.killed ? again : worker));
  showNext({ ...options, runId: shown.runId, server: stage.server, workers });
  onServing();
  return await keepUp({ ...stage, workers }, processes);
}

/** Resolves when the person or the system asks for an end; asked again, ends at once. */
function endRequest(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let told = false;
  const onSignal = () => {
    if (told) process.exit(interrupted);
    told = true;
    resolve();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, onSignal);
  // Nobody reads any more, as with `| head`.
  process.stdout.on("error", resolve);
  return promise;
}

/** @returns the exit code */
async function main(): Promise<number> {
  const options = await readOptions(process.argv.slice(2), process.env);
  if (options.help) {
    print(help);
    return 0;
  }
  const asked = endRequest();
  const logDir = join(options.dataDir, "start");
  await mkdir(logDir, { recursive: true });
  const processes = new Processes(logDir);
  let serving = false;
  const ended = asked.then(() => (serving ? 0 : interrupted));
  const shown = show(options, processes, () => {
    serving = true;
  });
  try {
    return await Promise.race([shown, ended]);
  } finally {
    // What is still under way fails now that its server is going, which is nobody's concern.
    shown.catch(() => undefined);
    if (serving) print("  Stopping.");
    await processes.stopAll();
  }
}

async function report(error: unknown): Promise<number> {
  if (!(error instanceof Complaint)) {
    console.error(error);
    return 1;
  }
  const [first = "", ...more] = wrap(error.message, width - 9);
  console.error(`\n  ${paint("red", "error:")} ${first}`);
  for (const line of more) console.error(`         ${line}`);
  return error.exitCode;
}

// Not by itself: a client whose server was stopped under it would continue trying for a while.
process.exit(await main().catch(report));
