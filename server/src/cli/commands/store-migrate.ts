import { mkdir } from "node:fs/promises";
import { readConfig, type ServerConfig } from "../../config.ts";
import { openStore } from "../../store/open.ts";
import { type SchemaStatus, schemaStatus } from "../../store/schema-status.ts";
import { StoreError } from "../../store/store-error.ts";
import type { Run } from "../catalog/command.ts";
import { CliError, EXIT } from "../shared/exit.ts";
import { describeStore } from "../shared/server-process.ts";

export const run: Run = async (args, terminal) => {
  const options = { store: args.text("store"), data: args.text("data") };
  const config = readConfig(options, terminal.env);
  const onlyStatus = args.flag("status");
  const before = await reached(() => schemaStatus(config.store));
  if (!onlyStatus) await migrate(config);
  const { pending } = before;
  if (args.flag("json")) {
    const facts = { store: describeStore(config), exists: before.exists };
    const done = onlyStatus ? { pending } : { applied: pending };
    terminal.out(JSON.stringify({ ...facts, ...done }, undefined, 2));
  } else {
    terminal.out(`${describeStore(config)}: ${said(before, onlyStatus)}`);
  }
  return EXIT.OK;
};

function said({ exists, pending }: SchemaStatus, onlyStatus: boolean): string {
  if (!exists)
    return onlyStatus ? "does not exist yet; the server creates it when it starts." : "created.";
  if (pending.length === 0) return "up to date.";
  const ids = pending.join(", ");
  return onlyStatus ? `pending: ${ids}. \`pawl migrate\` applies them.` : `applied ${ids}.`;
}

async function migrate(config: ServerConfig): Promise<void> {
  if (config.dataDir !== "") await mkdir(config.dataDir, { recursive: true });
  const store = await openStore(config.store, { migrate: true, thread: false });
  try {
    await reached(() => store.ping());
  } finally {
    await store.close();
  }
}

async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new CliError(EXIT.CANNOT_START, error.message, {
      reason: "STORE_UNAVAILABLE",
      cause: error,
    });
  }
}
