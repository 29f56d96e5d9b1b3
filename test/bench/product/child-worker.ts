/** A worker and a client in one process: what a child run costs that does nothing. */
import { Client, Worker, workflow } from "@pawl/worker";
import { serveCommands } from "../child.ts";
import { workflowName } from "./bench-runs.ts";

export interface ChildCommand {
  /** `host:port`. */
  address: string;
  count: number;
}

const nothing = workflow("bench-nothing", () => undefined);
/** When each child was first called for, and how long it took until its result was there, in ms. */
const calls = new Map<string, number>();
const times = new Map<string, number>();
/** A parent that waits is replayed afterwards, so parents are kept short. */
const childrenPerParent = 10;

const parent = workflow(workflowName, async (ctx) => {
  for (let n = 1; n <= childrenPerParent; n += 1) {
    const key = `${ctx.runId} ${n}`;
    const begin = calls.get(key) ?? performance.now();
    calls.set(key, begin);
    await ctx.child(nothing, undefined, { key: `child-${n}` });
    if (!times.has(key)) times.set(key, performance.now() - begin);
  }
});

let client: Client | undefined;

async function start(address: string): Promise<Client> {
  const url = `http://${address}`;
  await new Worker({ url, workflows: [parent, nothing], slots: 10 }).start();
  return new Client({ url });
}

/** Children one after the other. */
async function measure({ address, count }: ChildCommand): Promise<number[]> {
  client ??= await start(address);
  times.clear();
  while (times.size < count) await client.run(parent, undefined);
  return [...times.values()];
}

serveCommands<ChildCommand, number[]>(measure);
