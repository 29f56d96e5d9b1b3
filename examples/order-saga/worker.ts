/** A worker for the workflow `order-saga`: `node examples/order-saga/worker.ts [NAME]`. */
import { Worker } from "@pawl/worker";
import { order } from "./workflow.ts";

const [workerId = `order-saga-${process.pid}`] = process.argv.slice(2);
const worker = new Worker({ workflows: [order], workerId, drainTimeout: "3 s" });
const running = worker.run();
await worker.start();
console.log(`${worker.workerId} is ready`);
await running;
