/** Operators' keys that are made in the store itself, without a server. */
import { mkdir } from "node:fs/promises";
import { type IssuedKey, Keys } from "../../auth/api-keys.ts";
import { DEFAULT_ORG } from "../../auth/authenticate.ts";
import { readConfig } from "../../config.ts";
import { withPawlErrors } from "../../engine/store-errors.ts";
import { systemClock } from "../../lib/clock.ts";
import { StartupError } from "../../lib/startup-error.ts";
import { serverOf } from "../../model/caller.ts";
import { PawlError } from "../../model/errors.ts";
import { openStore } from "../../store/open.ts";
import type { Store } from "../../store/store.ts";
import type { Args } from "./args.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** @throws CliError, StartupError */
export async function operatorKeyIn(
  args: Args,
  terminal: Terminal,
  name: string,
  expiresInMs: number | undefined,
): Promise<IssuedKey> {
  const options = { store: args.text("store"), data: args.text("data") };
  const config = readConfig(options, terminal.env);
  if (config.dataDir !== "") await mkdir(config.dataDir, { recursive: true });
  const store = await opened(config.store);
  try {
    await store.ping();
    // Servers that share the store notice the change by themselves.
    const changed = () => Promise.resolve();
    const keys = new Keys({ store: withPawlErrors(store), clock: systemClock, changed });
    const asked = { name, scopes: [], expiresInMs, operator: true };
    return await keys.create(serverOf(DEFAULT_ORG), asked);
  } catch (error) {
    if (!(error instanceof PawlError)) throw error;
    const { reason, metadata } = error;
    throw new CliError(EXIT.REFUSED, error.message, { reason, metadata, cause: error });
  } finally {
    await store.close();
  }
}

async function opened(url: string): Promise<Store> {
  try {
    return await openStore(url, { migrate: false, thread: false });
  } catch (error) {
    if (!(error instanceof StartupError) || error.code !== "IN_USE") throw error;
    throw new CliError(
      EXIT.REFUSED,
      "A running server holds the store, so only it can add a key.",
      {
        reason: "IN_USE",
        hint: "Ask that server: `pawl keys create NAME --operator --server http://127.0.0.1:8000`, or stop it first.",
        cause: error,
      },
    );
  }
}
