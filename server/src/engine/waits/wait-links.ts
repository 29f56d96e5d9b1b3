import type { Clock } from "../../lib/clock.ts";
import { digest, uniqueId } from "../../lib/ids.ts";
import { isSigned, newSecret, readToken, signToken } from "../../lib/token.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Tenant } from "../../model/caller.ts";
import { PawlError } from "../../model/errors.ts";
import type { Store } from "../../store/store.ts";
import type {
  AnswerLink,
  CallbackAddress,
  LinkKind,
  LinkOptions,
  OpenedLink,
  WaitKey,
} from "./wait-types.ts";

const SECRET = "links";
const PATHS: Readonly<Record<LinkKind, string>> = { callback: "callbacks", answer: "answers" };

/**
 * Kind, organization, run, step key, the run's uid; of an answer link also who answers, until when,
 * and a number used once. The run's id alone may be another run's by the time that the link is used.
 */
type TokenClaims =
  | readonly ["callback", string, string, string, string]
  | readonly ["answer", string, string, string, string, string, number, string];

/** A wait of one run, even if another run has its id later. */
type LinkedWait = Required<WaitKey>;

const TOKEN_CHARS_MAX = 4 * (BOUNDS.stepKeyBytes + 4 * BOUNDS.idBytes);

function refused(why: string): PawlError {
  return new PawlError(
    "PERMISSION_DENIED",
    `This link ${why}. Nothing was changed; ask the sender for a new one.`,
    { metadata: { why: why.startsWith("expired") ? "expired" : "forged" } },
  );
}

function claimsOf(text: string): TokenClaims | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Anybody may send anything; the caller refuses it.
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const [kind, org, runId, key, runUid, actor, expiresAt, nonce]: unknown[] = value;
  if (typeof org !== "string" || typeof runId !== "string" || typeof key !== "string")
    return undefined;
  if (typeof runUid !== "string") return undefined;
  if (kind === "callback") return [kind, org, runId, key, runUid];
  if (kind !== "answer" || typeof actor !== "string" || typeof expiresAt !== "number")
    return undefined;
  return [kind, org, runId, key, runUid, actor, expiresAt, String(nonce)];
}

export interface WaitLinksParts {
  readonly store: Store;
  readonly clock: Clock;
  /** Where people and processes outside reach this server over HTTP, without a slash at the end. */
  readonly publicUrl: () => string;
}

/** Signed links: with one, somebody without a key resolves one wait. */
export class WaitLinks {
  readonly #parts: WaitLinksParts;
  /** Those read so far, by organization. */
  readonly #secrets = new Map<string, string>();

  constructor(parts: WaitLinksParts) {
    this.#parts = parts;
  }

  /** Always the same for a wait, so that nothing needs to be kept. */
  callbackAddress(caller: Tenant, id: LinkedWait): Promise<CallbackAddress> {
    return this.#sign(caller, ["callback", caller.org, id.runId, id.key, id.runUid]);
  }

  async answerLink(
    caller: Tenant,
    id: LinkedWait,
    { assignee, expiresInMs }: LinkOptions,
  ): Promise<AnswerLink> {
    const expiresAt = this.#parts.clock.now() + expiresInMs;
    const { runId, key, runUid } = id;
    const claims = [
      "answer",
      caller.org,
      runId,
      key,
      runUid,
      assignee,
      expiresAt,
      uniqueId(),
    ] as const;
    return { ...(await this.#sign(caller, claims)), expiresAt };
  }

  /** What a token stands for. The organization is the token's, for it is the credential. */
  async open(kind: LinkKind, token: string): Promise<OpenedLink> {
    const claims = token.length <= TOKEN_CHARS_MAX ? claimsOf(readToken(token)) : undefined;
    if (claims === undefined || claims[0] !== kind) throw refused("was not made by this server");
    const [, org, runId, key, runUid] = claims;
    const secret = await this.#secretOf({ org }, { make: false });
    if (secret === undefined || !isSigned(secret, token))
      throw refused("was not made by this server");
    const resolutionId = `link-${digest(token).slice(0, 40)}`;
    if (claims[0] === "callback") return { org, runId, key, runUid, actor: "", resolutionId };
    const [, , , , , actor, expiresAt] = claims;
    if (expiresAt <= this.#parts.clock.now())
      throw refused(`expired at ${new Date(expiresAt).toISOString()}`);
    return { org, runId, key, runUid, actor, resolutionId };
  }

  async #sign(caller: Tenant, claims: TokenClaims): Promise<CallbackAddress> {
    const secret = await this.#secretOf(caller, { make: true });
    if (secret === undefined) throw new Error("The secret of links was not kept.");
    const token = signToken(secret, JSON.stringify(claims));
    return { token, url: `${this.#parts.publicUrl()}/v1/${PATHS[claims[0]]}/${token}` };
  }

  /**
   * Made with the first link and never changed, so every server reads it once. A caller that only claims that
   * there is a link gets none made; undefined: there is none.
   */
  async #secretOf(
    caller: Tenant,
    { make }: { readonly make: boolean },
  ): Promise<string | undefined> {
    const known = this.#secrets.get(caller.org);
    if (known !== undefined) return known;
    const candidate = make ? newSecret() : undefined;
    const secret = await this.#parts.store.secret(caller, SECRET, candidate);
    if (secret !== undefined) this.#secrets.set(caller.org, secret);
    return secret;
  }
}
