/**
 * A worker for the workflow `digest`: `node examples/digest/worker.ts [NAME]`. It connects to
 * PAWL_URL (default http://127.0.0.1:50051), and works until Ctrl-C or SIGTERM.
 */
import { Worker } from "@pawl/worker";
import { digest } from "./workflow.ts";

const [workerId = `digest-${process.pid}`] = process.argv.slice(2);
const worker = new Worker({ workflows: [digest], workerId, drainTimeout: "3 s" });
const running = worker.run();
await worker.start();
console.log(`${worker.workerId} is ready`);
await running;
