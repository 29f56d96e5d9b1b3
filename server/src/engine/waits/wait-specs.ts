/** What is found out about a wait before the decision on it. */
import type { Clock } from "../../lib/clock.ts";
import { checkSchema } from "../schemas/input-schema.ts";
import type { WaitSpec } from "./wait-types.ts";

/** Undefined: there is nothing to wait for. */
export function checkForm(wait: WaitSpec | undefined): Promise<void> | undefined {
  const schema = wait?.question?.formSchema;
  return schema === undefined ? undefined : checkSchema("wait.question.form_schema", schema);
}

/** With the moment that a cron expression stands for. */
export async function atNextTime(clock: Clock, wait: WaitSpec): Promise<WaitSpec> {
  if (wait.cron === undefined) return wait;
  const { nextTime } = await import("./cron.ts");
  return { ...wait, until: nextTime(wait.cron, wait.timeZone ?? "UTC", clock.now()) };
}
