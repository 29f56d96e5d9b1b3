/** A worker for the workflows `batch` and `batch-resize`: `node examples/batch/worker.ts [NAME]`. */
import { Worker } from "@pawl/worker";
import { batch, resize } from "./workflow.ts";

const [workerId = `batch-${process.pid}`] = process.argv.slice(2);
const worker = new Worker({ workflows: [batch, resize], workerId, drainTimeout: "3 s" });
const running = worker.run();
await worker.start();
console.log(`${worker.workerId} is ready`);
await running;
