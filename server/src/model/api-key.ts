/** An operator's key may do everything. */
export type KeyKind = "service" | "operator";

/** What is known of a key; of the key itself only a digest is kept. */
export interface ApiKey {
  readonly keyId: string;
  readonly digest: string;
  readonly name: string;
  readonly kind: KeyKind;
  readonly scopes: readonly string[];
  /** Who created it, in words: an actor. */
  readonly createdBy: string;
  readonly createdAt: number;
  /** 0: never. */
  readonly expiresAt: number;
  /** 0: it is not. */
  readonly revokedAt: number;
  /** 0: it was not used. */
  readonly lastUsedAt: number;
  /** The id of the key that a rotation replaced it with; empty: none. */
  readonly replacedBy: string;
}
