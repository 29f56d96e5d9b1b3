/** A worker for the workflow `reminder`: `node examples/reminder/worker.ts [NAME]`. */
import { serve } from "../shared/serve.ts";
import { reminder } from "./workflow.ts";

await serve("reminder", [reminder]);
