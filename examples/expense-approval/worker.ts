/** A worker for the workflow `expense`: `node examples/expense-approval/worker.ts [NAME]`. */
import { serve } from "../shared/serve.ts";
import { expense } from "./workflow.ts";

await serve("expense", [expense]);
