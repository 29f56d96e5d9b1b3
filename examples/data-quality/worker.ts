/** A worker for the workflow `data-quality`: `node examples/data-quality/worker.ts [NAME]`. */
import { serve } from "../shared/serve.ts";
import { dataQuality } from "./workflow.ts";

await serve("data-quality", [dataQuality]);
