/**
 * The server's authenticator: API keys and, on a server that only this machine can reach, callers without
 * one. What a key may do is remembered by the key's digest until rights change.
 *
 * Invariants:
 * 1. A credential that is sent is never ignored: a wrong one is refused, also where none is needed.
 * 2. What was read before a change of rights is not remembered after it. A change made by this server is
 *    known when its request is answered, one by another server within about a second.
 * 3. A listener is told of each change and each expiry, so that it ends the streams that they concern.
 */
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { type Loop, startLoop } from "../lib/loop.ts";
import { type Caller, keyHolder, STRANGER } from "../model/caller.ts";
import { PawlError } from "../model/errors.ts";
import type { AccessState, KeyStore, KeyUse } from "../store/keys.ts";
import { keyDigest } from "./api-key.ts";
import { apiKeyIn, type Credentials, DEFAULT_ORG, isProxied, OWNER } from "./authenticate.ts";
import { expandScopes } from "./scopes.ts";
import { unauthenticated, type Why } from "./unauthenticated.ts";

/** How often another server's changes are looked for. */
const LOOK_MS = 1_000;
/** How often the last use of a key is written at most. */
const TOUCH_MS = 60_000;
const REMEMBERED_MAX = 10_000;

export interface AccessMode {
  /** Whether callers without a credential are taken for the owner as long as there is no operator's key. */
  readonly anonymous: boolean;
  /** A key that is good for everything without being in the store; empty: none. */
  readonly operatorKey: string;
}

export interface AuthenticatorParts {
  readonly store: Pick<KeyStore, "accessState" | "findKey" | "touchKeys">;
  readonly mode: AccessMode;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is known of a key. */
type Verdict = { readonly refused: Why } | KnownKey;

interface KnownKey {
  readonly caller: Caller;
  readonly org: string;
  readonly keyId: string;
  /** 0: never. */
  readonly expiresAt: number;
}

export class Authenticator {
  readonly #parts: AuthenticatorParts;
  readonly #operator: { readonly digest: string; readonly caller: Caller } | undefined;
  readonly #verdicts = new Map<string, Verdict>();
  /** The digest of the key that made a caller. */
  readonly #digests = new WeakMap<Caller, string>();
  readonly #uses = new Map<string, KeyUse>();
  readonly #touchedAt = new Map<string, number>();
  #state: AccessState | undefined;
  /** Rises whenever what is remembered is forgotten. */
  #generation = 0;
  /** The earliest expiry of a key that was used. */
  #nextExpiry = Number.POSITIVE_INFINITY;
  #listener: () => Promise<void> = () => Promise.resolve();
  #isTold = true;
  #loop: Loop | undefined;

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
    const { operatorKey } = parts.mode;
    if (operatorKey !== "") {
      const key = { keyId: "environment", name: "environment", operator: true };
      const caller = keyHolder(DEFAULT_ORG, key, []);
      this.#operator = { digest: keyDigest(operatorKey), caller };
    }
  }

  /** @param listener is called when callers that were admitted may have to go; see {@link problemWith} */
  start(listener: () => Promise<void>): void {
    this.#listener = listener;
    const { clock, log } = this.#parts;
    this.#loop = startLoop({
      name: "access",
      periodMs: LOOK_MS,
      run: () => this.#look(),
      now: () => clock.now(),
      onError: (_, error) => log.debug("access.look_failed", { error }),
    });
  }

  async stop(): Promise<void> {
    await this.#loop?.stop();
    await this.#writeUses().catch(() => undefined);
  }

  readonly authenticate = (credentials: Credentials): Caller | Promise<Caller> => {
    const key = apiKeyIn(credentials);
    if (key === undefined) return this.#withoutKey(credentials);
    const digest = keyDigest(key);
    if (digest === this.#operator?.digest) return this.#operator.caller;
    const known = this.#verdicts.get(digest);
    if (known !== undefined) return this.#admit(known);
    return this.#find(digest).then((verdict) => this.#admit(verdict));
  };

  /** Whether callers without a credential are the owner right now. */
  get isOpen(): boolean {
    return this.#parts.mode.anonymous && this.#state?.hasOperator === false;
  }

  /** Whether there is or ever was an operator's key in the store, by the last look at it. */
  get hasOperator(): boolean {
    return this.#state?.hasOperator === true;
  }

  /** Reads whether rights have changed, and forgets what is out of date. To be awaited after each change. */
  async refresh(): Promise<void> {
    const state = await this.#parts.store.accessState();
    const before = this.#state;
    this.#state = state;
    if (before === undefined || before.epoch === state.epoch) return;
    this.#forget();
    await this.#tell();
  }

  /** Why a caller who was admitted may not continue; undefined: it may. */
  async problemWith(caller: Caller): Promise<PawlError | undefined> {
    if (caller.principal.kind === "anonymous" && caller === OWNER)
      return this.isOpen ? undefined : unauthenticated("missing");
    const digest = this.#digests.get(caller);
    if (digest === undefined) return undefined;
    try {
      const verdict = this.#verdicts.get(digest) ?? (await this.#find(digest));
      this.#check(verdict);
      return undefined;
    } catch (error) {
      if (error instanceof PawlError && error.reason === "UNAUTHENTICATED") return error;
      throw error;
    }
  }

  #withoutKey(credentials: Credentials): Caller | Promise<Caller> {
    if (!this.#parts.mode.anonymous || isProxied(credentials)) return STRANGER;
    if (this.#state !== undefined) return this.isOpen ? OWNER : STRANGER;
    return this.refresh().then(() => (this.isOpen ? OWNER : STRANGER));
  }

  #admit(verdict: Verdict): Caller {
    const { caller, org, keyId } = this.#check(verdict);
    const now = this.#parts.clock.now();
    if (now - (this.#touchedAt.get(keyId) ?? 0) >= TOUCH_MS) {
      this.#touchedAt.set(keyId, now);
      this.#uses.set(keyId, { org, keyId, at: now });
    }
    return caller;
  }

  #check(verdict: Verdict): KnownKey {
    if ("refused" in verdict) throw unauthenticated(verdict.refused);
    const { expiresAt } = verdict;
    if (expiresAt !== 0) {
      if (expiresAt <= this.#parts.clock.now()) throw unauthenticated("expired");
      this.#nextExpiry = Math.min(this.#nextExpiry, expiresAt);
    }
    return verdict;
  }

  async #find(digest: string): Promise<Verdict> {
    while (true) {
      const generation = this.#generation;
      const key = await this.#parts.store.findKey(digest);
      // Rights changed while it was read: what was read may be out of date.
      if (generation !== this.#generation) continue;
      // Not remembered: anyone can make up as many as they like.
      if (key === undefined) return { refused: "invalid" };
      const verdict = this.#verdictOn(key);
      if ("caller" in verdict) this.#digests.set(verdict.caller, digest);
      this.#remember(digest, verdict);
      return verdict;
    }
  }

  #verdictOn(key: NonNullable<Awaited<ReturnType<KeyStore["findKey"]>>>): Verdict {
    const { org, keyId, name, kind, scopes, expiresAt, revokedAt } = key;
    if (revokedAt !== 0) return { refused: "revoked" };
    const holder = { keyId, name, operator: kind === "operator" };
    return { caller: keyHolder(org, holder, expandScopes(scopes)), org, keyId, expiresAt };
  }

  #remember(digest: string, verdict: Verdict): void {
    if (this.#verdicts.size >= REMEMBERED_MAX) {
      const [oldest = ""] = this.#verdicts.keys();
      this.#verdicts.delete(oldest);
    }
    this.#verdicts.set(digest, verdict);
  }

  #forget(): void {
    this.#generation += 1;
    this.#verdicts.clear();
    this.#touchedAt.clear();
  }

  /** Tells the listener, and again later if that fails. */
  async #tell(): Promise<void> {
    this.#isTold = false;
    this.#nextExpiry = Number.POSITIVE_INFINITY;
    await this.#listener();
    this.#isTold = true;
  }

  async #look(): Promise<undefined> {
    await this.refresh();
    const isExpired = this.#nextExpiry <= this.#parts.clock.now();
    if (isExpired || !this.#isTold) await this.#tell();
    await this.#writeUses();
    return undefined;
  }

  async #writeUses(): Promise<void> {
    const uses = [...this.#uses.values()];
    if (uses.length === 0) return;
    this.#uses.clear();
    await this.#parts.store.touchKeys(uses);
  }
}
