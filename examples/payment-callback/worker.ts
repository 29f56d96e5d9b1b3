/** A worker for the workflow `payment`: `node examples/payment-callback/worker.ts [NAME]`. */
import { serve } from "../shared/serve.ts";
import { payment } from "./workflow.ts";

await serve("payment", [payment]);
