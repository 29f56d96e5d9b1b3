/** The end of each example's worker: works until Ctrl-C or SIGTERM. */
import { type AnyWorkflow, Worker } from "@pawl/worker";

export async function serve(name: string, workflows: readonly AnyWorkflow[]): Promise<void> {
  const [workerId = `${name}-${process.pid}`] = process.argv.slice(2);
  const worker = new Worker({ workflows, workerId, drainTimeout: "3 s" });
  const running = worker.run();
  await worker.start();
  console.log(`${worker.workerId} is ready`);
  await running;
}
