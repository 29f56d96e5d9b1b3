/** Stores with keys of all kinds, and calls over every transport with any credential. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescMethod } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { keyDigest, newApiKey, newKeyId } from "../../server/src/auth/api-key.ts";
import type { ApiKey } from "../../server/src/model/api-key.ts";
import { openStore } from "../../server/src/store/open.ts";
import { refusalOf } from "../rpc/clients.ts";

/** What a call came to: `OK`, or the reason of its refusal with what it is about. */
export type Outcome = string;

export const HEADER = "authorization";

/** Puts keys into a store, each under its name; returns their texts. */
export async function putKeys<N extends string>(
  url: string,
  keys: Readonly<Record<N, Partial<ApiKey> & { readonly org?: string }>>,
): Promise<Record<N, string>> {
  const store = await openStore(url, { thread: false });
  const texts: [string, string][] = [];
  try {
    for (const [name, { org = "default", ...key }] of Object.entries<
      Partial<ApiKey> & { readonly org?: string }
    >(keys)) {
      const text = newApiKey(key.kind ?? "service");
      texts.push([name, text]);
      const row: ApiKey = {
        keyId: newKeyId(),
        digest: keyDigest(text),
        name,
        kind: "service",
        scopes: [],
        createdBy: "a test",
        createdAt: Date.now(),
        expiresAt: 0,
        revokedAt: 0,
        lastUsedAt: 0,
        replacedBy: "",
        ...key,
      };
      if (!(await store.putKey({ org }, row))) throw new Error(`The key ${name} was not stored.`);
    }
  } finally {
    await store.close();
  }
  return Object.fromEntries(texts) as Record<N, string>;
}

/** A SQLite file that goes with the object. */
export async function newStore(): Promise<{ url: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "pawl-access-"));
  return {
    url: join(folder, "pawl.db"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

export const bearer = (key: string): Record<string, string> => ({ [HEADER]: `Bearer ${key}` });

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function outcomeOf(reason: string, metadata: Readonly<Record<string, string>>): Outcome {
  const about = metadata.why ?? metadata.needs;
  return about === undefined ? reason : `${reason} ${about}`;
}

/** Calls any method with an empty message. */
export async function overGrpc(
  address: string,
  method: DescMethod,
  headers: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const client = new Client(address, credentials.createInsecure());
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const same = (bytes: Buffer): Buffer => bytes;
  try {
    return await new Promise<Outcome>((resolve) => {
      const stream = client.makeBidiStreamRequest(pathOf(method), same, same, metadata);
      const ok = (): void => resolve("OK");
      stream.on("data", ok);
      stream.on("end", ok);
      stream.on("error", (error) => {
        const { reason, metadata: facts } = refusalOf(error);
        resolve(outcomeOf(reason, facts));
      });
      stream.write(Buffer.alloc(0));
      // A stream that is open tells nothing by itself.
      if (method.methodKind === "unary") stream.end();
      else setTimeout(() => stream.end(), 200);
    });
  } finally {
    client.close();
  }
}

/** The error that a body has somewhere, in any of Connect's and REST's forms. */
function errorIn(text: string): Outcome {
  const reason = /"reason":"([A-Z_]+)"/.exec(text)?.[1] ?? "";
  const [, name, value = ""] = /"(why|needs)":"([^"]*)"/.exec(text) ?? [];
  return outcomeOf(reason, name === undefined ? {} : { [name]: value });
}

export async function overConnect(
  httpUrl: string,
  method: DescMethod,
  headers: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const isStream = method.methodKind !== "unary";
  const empty = Buffer.from("{}");
  const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, empty.byteLength]), empty]);
  const response = await fetch(`${httpUrl}${pathOf(method)}`, {
    method: "POST",
    headers: {
      "content-type": isStream ? "application/connect+json" : "application/json",
      ...headers,
    },
    body: isStream ? envelope : empty,
    signal: AbortSignal.timeout(5_000),
  });
  if (!isStream && response.ok) {
    await response.body?.cancel();
    return "OK";
  }
  const text = await response.text();
  return text.includes('"error"') || !response.ok ? errorIn(text) : "OK";
}

/** @returns gRPC's status code; 0 for a stream that is open */
export async function overGrpcWeb(
  httpUrl: string,
  method: DescMethod,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const response = await fetch(`${httpUrl}${pathOf(method)}`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1", ...headers },
    body: Buffer.alloc(5),
    signal: AbortSignal.timeout(5_000),
  });
  const status = response.headers.get("grpc-status");
  if (status !== null) return Number(status);
  return Number(/grpc-status: (\d+)/.exec(await response.text())?.[1] ?? 0);
}

export async function overRest(
  httpUrl: string,
  [verb, path]: readonly [string, string],
  headers: Readonly<Record<string, string>>,
): Promise<readonly [number, Outcome]> {
  const response = await fetch(`${httpUrl}${path.replaceAll(/\{\w+\}/g, "x")}`, {
    method: verb.toUpperCase(),
    headers: { ...(verb === "get" ? {} : { "content-type": "application/json" }), ...headers },
    ...(verb === "get" || verb === "delete" ? {} : { body: "{}" }),
    signal: AbortSignal.timeout(5_000),
  });
  return [response.status, response.ok ? "OK" : errorIn(await response.text())];
}
