import { existsSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { startApp } from "../../app.ts";
import { formatAddress } from "../../config.ts";
import { VERSION } from "../../lib/version.ts";
import type { Run } from "../catalog/command.ts";
import type { Args } from "../shared/args.ts";
import { EXIT, usageError } from "../shared/exit.ts";
import {
  configOf,
  describeStore,
  endSoon,
  logOf,
  OPEN,
  stopSignal,
} from "../shared/server-process.ts";
import { watchFiles } from "../shared/watch-files.ts";
import { WorkerProcess } from "../shared/worker-process.ts";

/** Looked for if no file is named. */
const WORKER_FILES = ["worker.ts", "src/worker.ts", "worker.js", "src/worker.js"];

export const run: Run = async (args, terminal) => {
  const file = workerFile(args);
  const folders = [dirname(file), ...args.list("watch").map((folder) => resolve(folder))];
  for (const folder of folders) {
    if (!existsSync(folder)) throw usageError(`There is no folder ${folder} to watch.`);
  }
  const env = { ...terminal.env, PAWL_LOG: terminal.env.PAWL_LOG ?? "warn" };
  const config = configOf(args, { ...terminal, env }, true);
  const log = logOf(config);
  const stopped = stopSignal(log);
  const app = await startApp(config, log);
  const json = args.flag("json");
  const print = (event: string, text: string, facts: object = {}): void => {
    if (json) terminal.out(JSON.stringify({ event, ...facts }));
    else terminal.out(`${terminal.style("dim", "pawl")}  ${text}`);
  };
  const url = `http://${formatAddress(app.grpc)}`;
  const httpUrl = `http://${formatAddress(app.http)}`;
  print(
    "ready",
    `${VERSION} is ready at ${httpUrl} (workers: ${url}); the store is ${describeStore(config)}${app.isOpen ? `; ${OPEN}` : ""}`,
    {
      pid: process.pid,
      grpcUrl: url,
      httpUrl,
    },
  );
  const worker = new WorkerProcess({
    file,
    env: {
      ...terminal.env,
      PAWL_URL: url,
      PAWL_HTTP_URL: httpUrl,
      ...(args.flag("replay-always") ? { PAWL_REPLAY_ALWAYS: "1" } : {}),
    },
    onMessage: (message) => print("worker", message, { message }),
  });
  worker.start();
  const unwatch = watchFiles(
    folders,
    (path) => {
      const changed = relative(process.cwd(), path);
      print("reload", `${changed} changed; restarting the worker.`, { changed });
      worker.restart().catch((error: unknown) => log.error("dev.restart_failed", { error }));
    },
    (error) => log.error("dev.watch_failed", { error }),
  );
  await stopped;
  unwatch();
  await worker.stop();
  await app.stop();
  await endSoon();
  return EXIT.OK;
};

function workerFile(args: Args): string {
  const named = args.positionals[0];
  const file = named ?? WORKER_FILES.find((name) => existsSync(name));
  if (file === undefined) {
    throw usageError(
      `There is no worker here: none of ${WORKER_FILES.join(", ")} exists.`,
      "Name one with `pawl dev FILE`, or create an example with `pawl init`.",
    );
  }
  if (!existsSync(file)) throw usageError(`There is no file ${file}.`);
  return resolve(file);
}
