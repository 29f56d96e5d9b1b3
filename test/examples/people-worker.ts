/** One worker for the examples that wait for somebody. */
import { dataQuality } from "@pawl/examples/data-quality/workflow.ts";
import { expense } from "@pawl/examples/expense-approval/workflow.ts";
import { payment } from "@pawl/examples/payment-callback/workflow.ts";
import { reminder } from "@pawl/examples/reminder/workflow.ts";
import { serve } from "@pawl/examples/shared/serve.ts";

await serve("people", [expense, dataQuality, payment, reminder]);
