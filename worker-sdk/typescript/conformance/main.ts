/** The conformance harness of the TypeScript SDK; see test/conformance/README.md. */
import { silentLogger, Worker, workflow } from "@pawl/worker";
import { type Input, runProgram } from "./interpreter.ts";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`${name} is not set.`);
  return value;
}

const environment = {
  folder: setting("CONFORMANCE_DIR"),
  queue: setting("PAWL_QUEUE"),
  deploy: Number(process.env.CONFORMANCE_DEPLOY ?? "0"),
};
const names = ["conformance", "conformance-typescript"];
const worker = new Worker({
  url: setting("PAWL_URL"),
  queues: [environment.queue],
  workerId: setting("PAWL_WORKER_ID"),
  mode: process.env.CONFORMANCE_MODE === "poll" ? "poll" : "stream",
  slots: 64,
  workflows: names.map((name) =>
    workflow(name, (ctx, input: Input) => runProgram(environment, ctx, input)),
  ),
  logger: { ...silentLogger, error: (message, fields) => console.error(message, fields) },
});
// A test process that was killed cannot end it.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit(1);
}, 500).unref();
process.once("SIGTERM", () => void worker.stop());
await worker.start();
console.log("ready");
