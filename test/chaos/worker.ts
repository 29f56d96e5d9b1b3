/** A worker process of a drill: `worker.ts URL EFFECTS-FILE WORKER-ID MODE`. */
import { Worker } from "@pawl/worker";
import { openEffects } from "./effects.ts";
import { createWorkload } from "./workload.ts";

const [url = "", file = "", workerId = "", mode = ""] = process.argv.slice(2);
const workflows = Object.values(createWorkload(openEffects(file)));
// It must not outlive its drill, however that ends.
process.stdin.on("end", () => process.exit()).resume();

const worker = new Worker({
  url,
  workflows,
  workerId,
  slots: 8,
  mode: mode === "poll" ? "poll" : "stream",
});
// Until it is killed, or told to end.
await worker.run();
process.exit();
