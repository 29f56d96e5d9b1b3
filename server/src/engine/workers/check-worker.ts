import { invalid } from "../../model/errors.ts";
import { checkSchema } from "../schemas/input-schema.ts";
import type { WorkerInfo } from "./worker-types.ts";

/** Refuses what could never be served. */
export async function checkWorker(worker: WorkerInfo): Promise<void> {
  const names = new Set<string>();
  for (const spec of worker.workflows) {
    if (names.has(spec.name)) throw invalid("workflows", `names "${spec.name}" twice`);
    names.add(spec.name);
    await checkSchema(`workflows["${spec.name}"].input_schema`, spec.inputSchema);
  }
}
