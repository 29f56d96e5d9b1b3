/** The use cases of API keys. */
import type { Clock } from "../lib/clock.ts";
import type { ApiKey } from "../model/api-key.ts";
import type { Caller } from "../model/caller.ts";
import { invalid, notFound, PawlError } from "../model/errors.ts";
import type { KeyStore } from "../store/keys.ts";
import { actorOf } from "./actor.ts";
import { keyDigest, newApiKey, newKeyId } from "./api-key.ts";
import { DEFAULT_SCOPES, scopesIn } from "./scopes.ts";

/** Keys that an organization can have, with those that no longer work. */
const KEYS_MAX = 1_000;

export interface NewKey {
  readonly name: string;
  /** Empty: what clients and workers need. */
  readonly scopes: readonly string[];
  /** Undefined: the key does not expire. */
  readonly expiresInMs: number | undefined;
  readonly operator: boolean;
}

/** A key with its text, which is known at this moment only. */
export interface IssuedKey {
  readonly key: ApiKey;
  readonly text: string;
}

export interface KeysParts {
  readonly store: Pick<KeyStore, "listKeys" | "putKey" | "revokeKey">;
  readonly clock: Clock;
  /** Resolves once this server heeds the change. */
  readonly changed: () => Promise<void>;
}

export class Keys {
  readonly #parts: KeysParts;

  constructor(parts: KeysParts) {
    this.#parts = parts;
  }

  async create(caller: Caller, asked: NewKey): Promise<IssuedKey> {
    const { name, expiresInMs, operator } = asked;
    if (operator && asked.scopes.length > 0)
      throw invalid("scopes", "must be empty for an operator's key, which may do everything");
    const scopes = scopesIn(asked.scopes.length === 0 ? DEFAULT_SCOPES : asked.scopes);
    if ((await this.list(caller)).length >= KEYS_MAX)
      throw new PawlError("RATE_LIMITED", `There are ${KEYS_MAX} keys already.`);
    const now = this.#parts.clock.now();
    const issued = this.#issue(caller, {
      name,
      kind: operator ? "operator" : "service",
      scopes: operator ? [] : scopes,
      expiresAt: expiresInMs === undefined ? 0 : now + expiresInMs,
    });
    if (!(await this.#parts.store.putKey(caller, issued.key))) throw nameTaken(name);
    await this.#parts.changed();
    return issued;
  }

  list(caller: Caller): Promise<ApiKey[]> {
    return this.#parts.store.listKeys(caller);
  }

  /** Revoking a key that was revoked before changes nothing. */
  async revoke(caller: Caller, keyId: string): Promise<void> {
    await this.#find(caller, keyId);
    await this.#parts.store.revokeKey(caller, keyId, this.#parts.clock.now());
    await this.#parts.changed();
  }

  /** Makes a key with the same rights; the old one works for `overlapMs` more. */
  async rotate(caller: Caller, keyId: string, overlapMs: number): Promise<IssuedKey> {
    const old = await this.#find(caller, keyId);
    const now = this.#parts.clock.now();
    const lifeMs = old.expiresAt === 0 ? 0 : old.expiresAt - old.createdAt;
    const { name, kind, scopes } = old;
    const expiresAt = lifeMs === 0 ? 0 : now + lifeMs;
    const issued = this.#issue(caller, { name, kind, scopes, expiresAt });
    const replaces = { keyId, until: now + overlapMs };
    if (old.revokedAt !== 0 || !(await this.#parts.store.putKey(caller, issued.key, replaces)))
      throw new PawlError(
        "ILLEGAL_TRANSITION",
        `Key "${keyId}" was revoked or replaced already. Create a new one.`,
        { metadata: { key_id: keyId } },
      );
    await this.#parts.changed();
    return issued;
  }

  #issue(caller: Caller, key: Pick<ApiKey, "name" | "kind" | "scopes" | "expiresAt">): IssuedKey {
    const text = newApiKey(key.kind);
    return {
      text,
      key: {
        ...key,
        keyId: newKeyId(),
        digest: keyDigest(text),
        createdBy: actorOf(caller, ""),
        createdAt: this.#parts.clock.now(),
        revokedAt: 0,
        lastUsedAt: 0,
        replacedBy: "",
      },
    };
  }

  async #find(caller: Caller, keyId: string): Promise<ApiKey> {
    const keys = await this.list(caller);
    const key = keys.find((one) => one.keyId === keyId);
    if (key === undefined) throw notFound("key", keyId);
    return key;
  }
}

function nameTaken(name: string): PawlError {
  return new PawlError(
    "NAME_TAKEN",
    `There is a key "${name}" already. Choose another name, or revoke or rotate that key.`,
    { metadata: { name } },
  );
}
