import { flushCompileCache } from "node:module";
import { startApp } from "../../app.ts";
import { formatAddress, unknownVariables } from "../../config.ts";
import { releaseHeap } from "../../lib/heap.ts";
import { uptimeMs } from "../../lib/uptime.ts";
import { VERSION } from "../../lib/version.ts";
import type { Run } from "../catalog/command.ts";
import { EXIT } from "../shared/exit.ts";
import {
  configOf,
  describeStore,
  endSoon,
  logOf,
  OPEN,
  stopSignal,
} from "../shared/server-process.ts";

export const run: Run = async (args, terminal) => {
  const config = configOf(args, terminal, args.flag("migrate"));
  const log = logOf(config);
  for (const name of unknownVariables(terminal.env)) log.warn("config.unknown_variable", { name });
  process.on("uncaughtExceptionMonitor", (error) => log.error("process.crashed", { error }));
  const stopped = stopSignal(log);
  const app = await startApp(config, log);
  releaseHeap();
  const grpc = formatAddress(app.grpc);
  const http = formatAddress(app.http);
  const readyMs = Math.round(uptimeMs());
  const facts = { grpc, http, store: app.store, version: VERSION, pid: process.pid };
  const access = app.isOpen ? OPEN : "callers need a key";
  log.info("server.ready", { ...facts, message: access, ready_ms: readyMs });
  if (args.flag("json")) {
    const urls = { grpcUrl: `http://${grpc}`, httpUrl: `http://${http}` };
    terminal.out(JSON.stringify({ event: "ready", ...facts, ...urls, readyMs }));
  } else {
    terminal.out(`Pawl ${VERSION} is ready after ${(readyMs / 1_000).toFixed(1)} s.`);
    terminal.out(`  workers  ${grpc} (gRPC)`);
    terminal.out(`  clients  http://${http}`);
    terminal.out(`  store    ${describeStore(config)}`);
    terminal.out(`  access   ${access}`);
  }
  // Now, since a server that is killed cannot do it at its end.
  flushCompileCache();
  await stopped;
  await app.stop();
  log.info("server.stopped");
  await endSoon();
  return EXIT.OK;
};
