import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type ApiKey, ApiKeySchema, ListKeysResponseSchema } from "@pawl/proto";
import { newApiKey } from "../../auth/api-key.ts";
import { systemClock } from "../../lib/clock.ts";
import { plain } from "../../rpc/plain.ts";
import type { Run } from "../catalog/command.ts";
import { formatTime, table } from "../render/text.ts";
import type { Args } from "../shared/args.ts";
import { clientCommand, printJson, type Server } from "../shared/client-command.ts";
import { CliError, EXIT, usageError } from "../shared/exit.ts";
import { operatorKeyIn } from "../shared/store-keys.ts";
import type { Terminal } from "../shared/terminal.ts";

/** A century: no key is meant to live longer. */
const EXPIRES_MAX_MS = 100 * 366 * 86_400_000;

export const run: Run = async (args, terminal) => {
  switch (args.positional(0)) {
    case "generate":
      terminal.out(newApiKey("operator"));
      return EXIT.OK;
    case "list":
      return await list(args, terminal);
    case "revoke":
      return await revoke(args, terminal);
    case "rotate":
      return await rotate(args, terminal);
    default:
      return opensStore(args, terminal)
        ? await createInStore(args, terminal)
        : await create(args, terminal);
  }
};

/** The server is asked if one is named, or if there is a key for one; unless a store is named as well. */
function opensStore(args: Args, terminal: Terminal): boolean {
  if (!args.flag("operator")) return false;
  if (args.text("store") !== undefined || args.text("data") !== undefined) return true;
  return args.text("server") === undefined && (terminal.env.PAWL_API_KEY ?? "") === "";
}

async function createInStore(args: Args, terminal: Terminal): Promise<number> {
  const name = nameIn(args);
  const { key, text } = await operatorKeyIn(args, terminal, name, expiresIn(args));
  if (args.flag("json")) {
    terminal.out(JSON.stringify({ key: { keyId: key.keyId, name, operator: true }, text }));
    return EXIT.OK;
  }
  terminal.out(text);
  terminal.note(SHOWN_ONCE);
  return EXIT.OK;
}

const create = clientCommand(async (server, args, terminal) => {
  const expires = expiresIn(args);
  const scopes = args.text("scopes")?.split(/[\s,]+/) ?? [];
  const { key, text } = await server.keys.createKey({
    name: nameIn(args),
    scopes: scopes.filter((one) => one !== ""),
    operator: args.flag("operator"),
    ...(expires !== undefined && { expiresIn: durationOut(expires) }),
  });
  printKey(args, terminal, key, text);
  return EXIT.OK;
});

const list = clientCommand(async (server, args, terminal) => {
  const response = await server.keys.listKeys({});
  if (args.flag("json")) {
    printJson(terminal, ListKeysResponseSchema, response);
    return EXIT.OK;
  }
  if (response.keys.length === 0) terminal.note("There are no keys.");
  const rows = response.keys.map((key) => [
    key.name,
    key.keyId,
    stateOf(key),
    key.operator ? "everything" : key.scopes.join(","),
    timeOf(key.createdAt),
    key.expiresAt === undefined ? "never" : timeOf(key.expiresAt),
    timeOf(key.lastUsedAt),
  ]);
  const head = ["NAME", "ID", "STATE", "MAY", "CREATED", "EXPIRES", "USED"];
  if (rows.length > 0) for (const line of table(terminal, head, rows)) terminal.out(line);
  return EXIT.OK;
});

const revoke = clientCommand(async (server, args, terminal) => {
  const key = await keyNamed(server, nameIn(args));
  await server.keys.revokeKey({ keyId: key.keyId });
  if (args.flag("json")) terminal.out(JSON.stringify({ keyId: key.keyId, revoked: true }));
  else terminal.out(`Key "${key.name}" (${key.keyId}) is revoked.`);
  return EXIT.OK;
});

const rotate = clientCommand(async (server, args, terminal) => {
  const old = await keyNamed(server, nameIn(args));
  const overlapMs = args.duration("overlap");
  const { key, text } = await server.keys.rotateKey({
    keyId: old.keyId,
    ...(overlapMs !== undefined && { overlap: durationOut(overlapMs) }),
  });
  printKey(args, terminal, key, text);
  return EXIT.OK;
});

const SHOWN_ONCE = "Keep it now: only a digest is stored, and it is not shown again.";

function printKey(args: Args, terminal: Terminal, key: ApiKey | undefined, text: string): void {
  if (args.flag("json") && key !== undefined) {
    terminal.out(JSON.stringify({ key: plain(ApiKeySchema, key), text }));
    return;
  }
  terminal.out(text);
  const expires = key?.expiresAt === undefined ? " It does not expire; see --expires." : "";
  terminal.note(`${SHOWN_ONCE}${expires}`);
}

/** The key with this id; or the newest with this name, one that works first. */
async function keyNamed(server: Server, nameOrId: string): Promise<ApiKey> {
  const { keys } = await server.keys.listKeys({});
  const named = keys.filter(({ name }) => name === nameOrId);
  const found =
    keys.find(({ keyId }) => keyId === nameOrId) ??
    named.find((key) => stateOf(key) === "works") ??
    named[0];
  if (found !== undefined) return found;
  throw new CliError(EXIT.NOT_FOUND, `There is no key "${nameOrId}".`, {
    reason: "NOT_FOUND",
    hint: "`pawl keys list` shows all keys.",
  });
}

function stateOf({ revokedAt, expiresAt, replacedBy }: ApiKey): string {
  if (revokedAt !== undefined) return "revoked";
  if (expiresAt !== undefined && timestampMs(expiresAt) <= systemClock.now()) return "expired";
  return replacedBy === "" ? "works" : "replaced";
}

function timeOf(at: ApiKey["createdAt"]): string {
  return at === undefined ? "" : formatTime(timestampMs(at));
}

function nameIn(args: Args): string {
  const name = args.positionals[1];
  if (name === undefined || name === "") throw usageError("NAME is missing.");
  return name;
}

function expiresIn(args: Args): number | undefined {
  return args.duration("expires", EXPIRES_MAX_MS);
}

function durationOut(ms: number) {
  const seconds = Math.floor(ms / 1_000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1_000) * 1e6) };
}
